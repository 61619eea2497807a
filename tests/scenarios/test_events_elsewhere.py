"""Events of a job that is worked on from another machine: over ssh and TLS, over both MQTT brokers, and a cut link."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from tests.fakes.broker import BrokerProcess
from tests.fakes.far import WAYS, Far
from tests.fakes.jobbing import PROGRAMS, Worker, jobbing, kill_mqtt_broker, publishing, worker
from wire.client import BrokerClient
from wire.events import EventName, read_event
from wire.jobs import JobsTransport, JobsTransported
from wire.mqtt import connected
from wire.publisher import Publisher
from wire.records import transport_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

PATIENT_S = 90
MANY = 40


@dataclass
class Place:
    """A fleet, and another machine with a connection to it."""

    fleet: BrokerProcess
    far: Far
    client: BrokerClient

    def secrets(self) -> list[str]:
        """Give what opens the fleet's MQTT broker."""
        paths = [path for path in self.fleet.home.mqtt_secrets.iterdir() if path.name != "mosquitto_sub"]
        return [self.fleet.token(path) for path in paths]

    def logged(self) -> str:
        """Give all that the broker has logged."""
        files = sorted(self.fleet.home.logs.iterdir())
        return self.fleet.said + "".join(file.read_text(encoding="utf-8") for file in files)


@pytest.fixture(params=WAYS)
def far(request: pytest.FixtureRequest, tmp_path: Path) -> Far:
    """Another machine, by the one way or the other."""
    return Far(tmp_path, request.param)


@pytest.fixture(params=PROGRAMS)
async def place(request: pytest.FixtureRequest, far: Far) -> AsyncIterator[Place]:
    """A fleet with the one MQTT broker or the other, and a connection from there."""
    async with jobbing(request.param, far.settings) as fleet:
        await fleet.operator()  # which is left behind the other one
        async with far.client(fleet, fleet.home.operator_secret) as client:
            yield Place(fleet, far, client)


@asynccontextmanager
async def watching(place: Place, topic: str) -> AsyncGenerator[list[bytes]]:
    """Collect what is published over a topic while the body runs."""
    told = await (await place.fleet.operator()).call(JobsTransport(user="watcher"), JobsTransported, timeout_s=40)
    seen: list[bytes] = []
    async with connected(transport_of(told), "watches", clean=True) as line, anyio.create_task_group() as group:

        async def watch() -> None:
            async for heard in line.heard:
                seen.append(heard.payload)
                line.settle(heard)

        await line.subscribe(topic)
        group.start_soon(watch)
        yield seen
        group.cancel_scope.cancel()


async def say(publisher: Publisher, one: Worker, event: EventName, number: int) -> None:
    """Publish an event that knows its number."""

    def sign(seq: int) -> bytes:
        return one.event(event, seq, data={"n": number})

    await publisher.add(one.job.id, one.job.epoch, one.claimed.topic, sign, retain=event == "completed")


async def finished(one: Worker, publisher: Publisher) -> None:
    """Wait for the end of the job, and until nothing waits any more."""
    with anyio.fail_after(PATIENT_S):
        await one.until("completed")
        await publisher.drained()


def numbers(payloads: list[bytes]) -> list[int]:
    """Give what was seen over MQTT, each event once, in the order of its first copy."""
    return list(dict.fromkeys(read_event(payload).event.data["n"] for payload in payloads if payload))


async def test_what_is_said_elsewhere_is_recorded_once_and_in_order_though_the_link_is_cut(
    place: Place, tmp_path: Path
) -> None:
    """DESIGN 4, 7: over MQTT, where others see it; no password comes over the link, and the secret once.

    The job takes events in growing order only: what was overtaken would be lost for good.
    """
    one = await worker(place.fleet, place.client, replay="strict")
    assert one.transport.by_link
    assert not any((one.transport.user, one.transport.password_file, one.transport.ca_file, one.transport.key_file))
    async with watching(place, one.claimed.topic) as seen, publishing(place.client, tmp_path) as publisher:
        await say(publisher, one, "started", 0)
        for number in range(1, MANY):
            await say(publisher, one, "progress", number)
            if number == MANY // 2:
                place.far.cut()
        await say(publisher, one, "completed", MANY)
        await finished(one, publisher)
        with anyio.fail_after(PATIENT_S):
            while len(numbers(seen)) <= MANY:  # noqa: ASYNC110  # nothing announces what a watcher sees
                await anyio.sleep(0.01)
    recorded = [event.data["n"] for event in (await one.shown()).events]
    assert recorded == numbers(seen) == list(range(MANY + 1))
    assert place.far.links == 2
    came = b"".join(place.far.heard).decode()
    assert came.count(one.claimed.secret) == 1
    assert not [secret for secret in place.secrets() if secret in came]
    assert not [secret for secret in [*place.secrets(), one.claimed.secret] if secret in place.logged()]


async def test_nothing_is_lost_where_the_mqtt_broker_or_the_fleet_dies_meanwhile(place: Place, tmp_path: Path) -> None:
    """[X07] As of publishers on the machine of the fleet: what is not on the record is sent again."""
    one = await worker(place.fleet, place.client)
    async with publishing(place.client, tmp_path) as publisher:
        for number in range(30):
            await say(publisher, one, "progress", number)
            if number == 10:
                kill_mqtt_broker(place.fleet.home)
        with anyio.fail_after(PATIENT_S):
            await publisher.drained()
        if place.far.way == "ssh":  # over TLS it would have another port
            await place.fleet.restart()
        await say(publisher, one, "completed", 30)
        await finished(one, publisher)
    assert sorted(event.data["n"] for event in (await one.shown()).events) == list(range(31))
