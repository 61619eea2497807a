"""Events that the bridge carries for a publisher elsewhere, over a real MQTT broker: what is retained, what fails."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from tests.broker.bridge.test_ends import cancelled, ends_with, retained
from tests.broker.bridge.test_outside import fleet_with
from tests.fakes.broker import BrokerProcess, short_home
from tests.fakes.far import Far
from tests.fakes.jobbing import PROGRAMS, Worker, jobbing, publishing, worker
from tests.fakes.outside import Outside, needs_mosquitto
from wire.client import BrokerClient
from wire.errors import Invalid, Unavailable, Unknown
from wire.events import EventName
from wire.jobs import JobsCarried, JobsCarry

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture(params=PROGRAMS)
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[BrokerProcess]:
    """A broker whose own MQTT broker is the one or the other."""
    async with jobbing(request.param) as fleet:
        yield fleet


def signing(one: Worker, event: EventName, detail: str = "") -> Callable[[int], bytes]:
    """Give what signs an event under its number."""
    return lambda seq: one.event(event, seq, detail=detail)


async def carry(client: BrokerClient, one: Worker, payload: bytes, *, retain: bool = False) -> None:
    """Hand an event in."""
    await client.call(JobsCarry(topic=one.claimed.topic, payload=payload.decode(), retain=retain), JobsCarried)


async def test_what_is_carried_is_judged_like_every_other(fleet: BrokerProcess) -> None:
    """[X15] Issue 5: carried twice it counts once; a forged one is carried, refused by the bridge and counted."""
    one, other = await worker(fleet), await worker(fleet)
    operator = await fleet.operator()
    forged = replace(one, claimed=one.claimed.model_copy(update={"secret": "x" * 43})).event("completed", 9)
    with pytest.raises(Invalid, match="is the topic of"):
        await carry(operator, one, other.event("completed", 1))
    started = one.signed("started")
    for payload in (started, started, forged, one.signed("completed")):
        await carry(operator, one, payload)
    await one.until("completed")
    watched = await one.shown()
    assert [event.event for event in watched.events] == ["started", "completed"]
    assert watched.refused == {"signature": 1}


async def test_what_is_retained_stays_the_end_that_was_recorded(fleet: BrokerProcess) -> None:
    """[X06] Ours: a second end and a forged one give way again, as those of a publisher here; progress is refused."""
    one = await worker(fleet)
    operator = await fleet.operator()
    await carry(operator, one, one.signed("completed", detail="the first"), retain=True)
    await one.until("completed")
    forged = replace(one, claimed=one.claimed.model_copy(update={"secret": "x" * 43})).event("error", 9)
    for payload in (one.signed("error"), forged):
        await carry(operator, one, payload, retain=True)
        await ends_with(fleet, one.claimed.topic, b"the first")
    with pytest.raises(Invalid, match="only an end is retained"):
        await carry(operator, one, one.signed("progress"), retain=True)
    seen = await retained(fleet, one.claimed.topic)
    assert seen is not None
    assert b"the first" in seen.payload


async def test_an_agent_replaces_no_end_that_is_not_of_its_own_job(fleet: BrokerProcess) -> None:
    """Ours: with nothing but its token, from wherever it comes."""
    await fleet.add("bob")
    one = await worker(fleet)
    await cancelled(fleet, one.job.id)
    await ends_with(fleet, one.claimed.topic, b'"event":"cancelled"')
    async with fleet.client(fleet.home.agent_secret("bob")) as bob:
        with pytest.raises(Unknown):
            await carry(bob, one, one.signed("completed"), retain=True)
    seen = await retained(fleet, one.claimed.topic)
    assert seen is not None
    assert b'"event":"cancelled"' in seen.payload


@needs_mosquitto
async def test_the_trouble_of_the_bridge_is_said_and_everything_comes_when_it_has_passed(tmp_path: Path) -> None:
    """[X07] Ours: an MQTT broker of others that is down at first: kept on the other machine, with the reason."""
    outside, far = Outside(tmp_path / "o"), Far(tmp_path, "ssh")
    with short_home() as home:
        async with fleet_with(home, outside) as fleet:
            await fleet.operator()
            async with far.client(fleet, home.operator_secret) as client:
                one = await worker(fleet, client)
                with pytest.raises(Unavailable, match="start it, or see"):
                    await carry(client, one, one.event("progress", 7))
                async with publishing(client, tmp_path) as publisher:
                    await publisher.add(one.job.id, 1, one.claimed.topic, signing(one, "started"), retain=False)
                    await publisher.add(one.job.id, 1, one.claimed.topic, signing(one, "completed"), retain=True)
                    with anyio.fail_after(60):
                        while "start it, or see" not in publisher.trouble:  # noqa: ASYNC110  # nothing announces it
                            await anyio.sleep(0.01)
                    async with outside.running():
                        assert (await one.until("completed")).events == 2
                        await publisher.drained()


@needs_mosquitto
async def test_an_event_over_which_mqtt_hangs_up_keeps_back_no_other(tmp_path: Path) -> None:
    """[X07] Ours: longer than an MQTT broker of others takes; those behind it are recorded, it is kept and named."""
    outside, far = Outside(tmp_path / "o", lines=["max_packet_size 4000"]), Far(tmp_path, "ssh")
    with short_home() as home:
        async with outside.running(), fleet_with(home, outside) as fleet:
            await fleet.operator()
            async with far.client(fleet, home.operator_secret) as client, publishing(client, tmp_path) as publisher:
                one = await worker(fleet, client)
                topic, long = one.claimed.topic, signing(one, "progress", "x" * 4090)
                await publisher.add(one.job.id, 1, topic, long, retain=False)
                await publisher.add(one.job.id, 1, topic, signing(one, "completed"), retain=True)
                assert (await one.until("completed")).events == 1
                with anyio.fail_after(60):
                    while "ends the connection over event 1" not in publisher.trouble:  # noqa: ASYNC110  # see above
                        await anyio.sleep(0.01)
