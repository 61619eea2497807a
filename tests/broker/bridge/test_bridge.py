"""The bridge over a real MQTT broker: what is signed is recorded once, whoever is killed in between."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import anyio
import pytest

from broker.bridge import mosquitto
from tests.fakes.broker import BrokerProcess
from tests.fakes.jobbing import PROGRAMS, jobbing, worker
from wire.client import new_key
from wire.jobs import JobsCancel, JobsChanged, JobsTransport, JobsTransported
from wire.mqtt import connected
from wire.records import transport_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture(params=PROGRAMS)
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[BrokerProcess]:
    """A broker whose own MQTT broker is the one or the other."""
    async with jobbing(request.param) as fleet:
        yield fleet


async def test_signed_events_are_recorded_and_watched(fleet: BrokerProcess) -> None:
    """[X02] [X06] [X08] From the publisher's signature to whoever waits, over a real MQTT broker."""
    one = await worker(fleet)
    async with one.line() as line:
        for event in ("started", "progress", "completed"):
            await line.publish(one.claimed.topic, one.signed(event, detail=f"it is {event}"))
        job = await one.until("completed")
    assert (job.events, job.detail) == (3, "it is completed")


async def test_what_is_not_signed_is_not_taken(fleet: BrokerProcess) -> None:
    """[X15] A publisher with the right password and the wrong secret; the good event behind it is taken."""
    one = await worker(fleet)
    forger = replace(one, claimed=one.claimed.model_copy(update={"secret": "x" * 43}))
    async with one.line() as line:
        for payload in (forger.signed("completed"), b"\xff\xfe", b"{}", b"x" * 70_000, one.signed("started")):
            await line.publish(one.claimed.topic, payload)
        watched = await one.shown()
    assert [event.event for event in watched.events] == ["started"]
    assert watched.job is not None
    assert watched.job.state == "running"


async def test_a_cancelled_job_says_so_to_everybody_who_listens(fleet: BrokerProcess) -> None:
    """[X06] The broker's own word is signed, retained, and seen by who comes late."""
    one = await worker(fleet)
    operator = await fleet.operator()
    changed = await operator.call(JobsCancel(key=new_key(), job=one.job.id), JobsChanged)
    assert changed.job.state == "cancelled"
    told = await operator.call(JobsTransport(user="watcher"), JobsTransported)
    async with connected(transport_of(told), "watcher", clean=True) as line:
        await line.subscribe(one.claimed.topic)
        with anyio.fail_after(30):
            heard = await anext(aiter(line.heard))
    assert b'"event":"cancelled"' in heard.payload


async def test_events_are_taken_up_again_behind_a_kill_of_the_broker(fleet: BrokerProcess) -> None:
    """DESIGN 7: window and event are in one transaction; what is resent is a duplicate."""
    one = await worker(fleet)
    said = [one.signed("started"), one.signed("progress")]
    async with one.line() as line:
        for payload in said:
            await line.publish(one.claimed.topic, payload)
        await one.shown(1)
    await fleet.kill()
    await fleet.start()
    again = replace(one, transport=await (await fleet.operator()).call(JobsTransport(), JobsTransported, timeout_s=40))
    async with again.line() as line:
        for payload in [*said, one.signed("completed")]:
            await line.publish(one.claimed.topic, payload)
        job = await again.until("completed")
    assert job.events == 3


def test_mosquitto_is_found_outside_of_path() -> None:
    """DESIGN 2: Debian puts it into /usr/sbin, which is on no user's PATH."""
    found = mosquitto.find({"PATH": ""})
    assert (found is None) == (shutil.which("mosquitto", path=":".join(mosquitto.PLACES)) is None)
