"""The bridge on a machine that fails: what cannot be written now is heard again, and the post office goes on."""

import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from broker.services import job_events
from broker.services.job_monitor import GRACE_MS
from broker.store.tx import Tx
from tests.fakes.broker import LocalBroker, short_home
from tests.fakes.jobbing import PROGRAMS, kill_mqtt_broker, worker
from wire.clock import FakeClock
from wire.errors import Full, Unavailable
from wire.jobs import JobsShow, JobsShown, JobsTransport, JobsTransported

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture
def clock() -> FakeClock:
    """Time that the test moves."""
    return FakeClock()


@pytest.fixture(params=PROGRAMS)
async def fleet(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[LocalBroker]:
    """A broker inside of the test whose own MQTT broker is the one or the other."""
    with short_home() as home:
        home.create()
        config = home.root / "queenpost.toml"
        config.write_text(f'[mqtt]\nprogram = "{request.param}"\n', encoding="utf-8")
        async with LocalBroker(home, clock=clock, config=config) as fleet:
            yield fleet


async def shown(fleet: LocalBroker, job: str) -> JobsShown:
    """Look at a job now."""
    return await (await fleet.operator()).call(JobsShow(job=job), JobsShown)


async def test_an_event_that_the_disk_does_not_take_comes_again(
    fleet: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 7: settled behind its commit and never before; a disk that fails once ends neither bridge nor broker."""
    real, failed = job_events.record, threading.Event()

    def fails_once(tx: Tx, *arguments: Any, **named: Any) -> Any:
        if not failed.is_set():
            failed.set()
            raise Full("the disk is full")
        return real(tx, *arguments, **named)

    one = await worker(fleet)
    monkeypatch.setattr(job_events, "record", fails_once)
    async with one.line() as line:
        await line.publish(one.claimed.topic, one.signed("started"))
        with anyio.fail_after(60):
            while not failed.is_set():  # noqa: ASYNC110  # the writer's thread sets it
                await anyio.sleep(0.01)
        with anyio.fail_after(60):
            # Said again as publishers do: amqtt keeps nothing for whoever left.
            while not (await shown(fleet, one.job.id)).events:
                await line.publish(one.claimed.topic, one.event("started", 1))
                await anyio.sleep(0.05)
        await line.publish(one.claimed.topic, one.signed("completed"))
        assert (await one.until("completed")).events == 2


@pytest.mark.parametrize("fleet", PROGRAMS[:1], indirect=True)  # amqtt keeps nothing for whoever left, and no order
async def test_behind_an_event_that_the_disk_does_not_take_none_of_its_job_is_taken(
    fleet: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 5: of a strict job the first event would be lost for good if the second were taken; other jobs go on."""
    real, failed = job_events.record, threading.Semaphore(3)

    def fails(tx: Tx, topic: str, payload: bytes, rules: Any) -> Any:
        if payload == first and failed.acquire(blocking=False):
            raise Full("the disk is full")
        return real(tx, topic, payload, rules)

    one, other = await worker(fleet, replay="strict"), await worker(fleet)
    first, second = one.signed("started"), one.signed("progress")
    monkeypatch.setattr(job_events, "record", fails)
    async with one.line() as line:
        await line.publish(one.claimed.topic, first)
        await line.publish(one.claimed.topic, second)
        await line.publish(other.claimed.topic, other.signed("completed"))
        with anyio.fail_after(60):
            while len(events := (await shown(fleet, one.job.id)).events) < 2:
                for payload in (first, second):  # said again, in order, as publishers do
                    await line.publish(one.claimed.topic, payload)
                await line.publish(other.claimed.topic, other.event("completed", 1))
                await anyio.sleep(0.05)
    assert [event.event for event in events] == ["started", "progress"]
    assert (await other.until("completed")).events == 1


async def test_an_mqtt_broker_that_cannot_be_written_down_is_started_as_soon_as_it_can(fleet: LocalBroker) -> None:
    """Issue 5: MQTT broker down at start: the status says why, mail goes on, and the bridge tries again."""
    in_the_way = [fleet.home.mqtt_run / name for name in ("mosquitto.conf", "amqtt.json")]
    for path in in_the_way:
        path.mkdir(parents=True)
    fleet.home.mqtt_run.chmod(0o700)
    operator = await fleet.operator()
    with pytest.raises(Unavailable, match="cannot be started: Is a directory"):
        await operator.call(JobsTransport(), JobsTransported, timeout_s=60)
    (warning,) = (await fleet.status()).warnings
    assert "Is a directory" in warning
    for path in in_the_way:
        path.rmdir()
    one = await worker(fleet)
    async with one.line() as line:
        await line.publish(one.claimed.topic, one.signed("completed"))
        assert (await one.until("completed")).events == 1


async def test_for_how_long_events_are_heard_begins_anew_behind_every_loss(
    fleet: LocalBroker, clock: FakeClock
) -> None:
    """DESIGN 7: an end may wait in an outbox while the MQTT broker is away; nobody is blamed for it meanwhile."""
    assert fleet.office.hears_for_ms() == 0
    await worker(fleet)
    clock.advance(GRACE_MS)
    assert fleet.office.hears_for_ms() >= GRACE_MS
    kill_mqtt_broker(fleet.home)
    with anyio.fail_after(60):
        while fleet.office.hears_for_ms() > 0:  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)
    await worker(fleet)
    assert fleet.office.hears_for_ms() < GRACE_MS
