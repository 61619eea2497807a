"""The publisher over a real MQTT broker: each event is recorded once, whatever dies on the way."""

import threading
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest

from tests.fakes.broker import BrokerProcess
from tests.fakes.jobbing import PROGRAMS, Worker, jobbing, kill_mqtt_broker, no_link, publishing, worker
from wire.clock import SystemClock
from wire.errors import Unavailable
from wire.events import EventName, stamp
from wire.jobs import JobsFates, JobsTransported, Mark
from wire.outbox import Order, Outbox
from wire.publisher import Publisher

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

LONG_AGO = "2001-02-03T04:05:06.789Z"


@pytest.fixture(params=PROGRAMS)
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[BrokerProcess]:
    """A broker whose own MQTT broker is the one or the other."""
    async with jobbing(request.param) as fleet:
        yield fleet


async def say(publisher: Publisher, one: Worker, number: int, *, end: bool = False) -> None:
    """Publish an event that knows its number."""
    event = "completed" if end else "progress"

    def sign(seq: int) -> bytes:
        return one.event(event, seq, data={"n": number})

    await publisher.add(one.job.id, one.job.epoch, one.claimed.topic, sign, retain=end)


async def recorded(one: Worker) -> list[int]:
    """Give what was recorded, in the order of the numbers."""
    watched = await one.shown()
    return [event.data["n"] for event in sorted(watched.events, key=lambda event: event.seq)]


async def test_what_is_added_is_recorded_and_forgotten_here(fleet: BrokerProcess, tmp_path: Path) -> None:
    """[X07] Many at once, over one connection; the outbox is empty once the broker's record shows them."""
    one = await worker(fleet)
    async with publishing(await fleet.operator(), tmp_path) as publisher:
        for number in range(60):
            await say(publisher, one, number, end=number == 59)
        await one.until("completed")
        await publisher.drained()
    assert await recorded(one) == list(range(60))


async def test_a_killed_mqtt_broker_loses_and_doubles_nothing(fleet: BrokerProcess, tmp_path: Path) -> None:
    """DESIGN 7: PUBACK is no proof; what was not recorded is sent again with its number."""
    one = await worker(fleet)
    async with publishing(await fleet.operator(), tmp_path) as publisher:
        for number in range(30):
            await say(publisher, one, number)
            if number % 10 == 5:
                kill_mqtt_broker(fleet.home)
                await said_again(publisher)
        await say(publisher, one, 30, end=True)
        await one.until("completed")
        await publisher.drained()
    assert await recorded(one) == list(range(31))


async def test_what_is_refused_as_not_fresh_is_not_sent_for_ever(fleet: BrokerProcess, tmp_path: Path) -> None:
    """[X18] Its publisher learns its fate and forgets it; what is fresh is recorded, and the end, however old."""
    one = await worker(fleet, freshness_s=3600.0)
    said: list[tuple[EventName, str]] = [
        ("started", LONG_AGO), ("progress", stamp(SystemClock().wall_ms())), ("completed", LONG_AGO)
    ]  # fmt: skip
    async with publishing(await fleet.operator(), tmp_path) as publisher:
        for event, timestamp in said:
            sign = partial(one.event, event, timestamp=timestamp)
            await publisher.add(one.job.id, one.job.epoch, one.claimed.topic, sign, retain=event == "completed")
        await said_again(publisher)
    shown = await one.shown()
    assert [event.event for event in shown.events] == ["progress", "completed"]
    assert shown.refused["not_fresh"] >= 1  # it may have been sent again before its fate was asked for


async def said_again(publisher: Publisher) -> None:
    """Let it come back: nothing waits any more."""
    with anyio.fail_after(60):
        await publisher.drained()


async def test_a_publisher_that_was_killed_says_what_it_had_kept(fleet: BrokerProcess, tmp_path: Path) -> None:
    """[X07] Kept before `add` returns, said by the next one: the same bytes."""
    one = await worker(fleet)
    with Outbox(tmp_path / "private" / "outbox.db") as outbox:
        outbox.add(
            one.job.id, one.job.epoch, one.claimed.topic,
            lambda seq: one.event("completed", seq, data={"n": 0}), retain=True,
        )  # fmt: skip
    async with publishing(await fleet.operator(), tmp_path) as publisher:
        assert (await one.until("completed")).events == 1
        await publisher.drained()


async def test_nothing_is_lost_while_there_is_no_mqtt_broker(tmp_path: Path) -> None:
    """[X07] Down at the start: events are kept, and the reason is known."""
    asked = anyio.Event()

    async def tell() -> JobsTransported:
        asked.set()
        raise Unavailable("no broker is there")

    async def confirm(marks: list[Mark]) -> JobsFates:
        raise AssertionError(marks)

    with Outbox(tmp_path / "private" / "outbox.db") as outbox:
        publisher = Publisher("test", outbox, tell, confirm, no_link)
        async with anyio.create_task_group() as group:
            group.start_soon(publisher.run)
            await publisher.add("j1", 1, "t", lambda seq: f"{seq}".encode(), retain=False)
            await asked.wait()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert [one.payload for one in outbox.waiting()] == [b"1"]
        assert publisher.trouble == "no broker is there"


async def test_who_adds_while_another_commits_shares_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: each has its own number, and who is cancelled before anybody took it leaves nothing behind."""
    sizes: list[int] = []
    gate = threading.Event()
    add_all = Outbox.add_all

    def held(self: Outbox, orders: Sequence[Order]) -> None:
        sizes.append(len(orders))
        assert gate.wait(30)
        add_all(self, orders)

    monkeypatch.setattr(Outbox, "add_all", held)
    numbers: list[int] = []
    with Outbox(tmp_path / "private" / "outbox.db") as outbox:
        publisher = Publisher("test", outbox, _nobody, _nothing, no_link)

        async def add() -> None:
            numbers.append(await publisher.add("j1", 1, "t", lambda seq: f"{seq}".encode(), retain=False))

        async with anyio.create_task_group() as group:
            group.start_soon(add)
            await anyio.wait_all_tasks_blocked()
            for _ in range(19):
                group.start_soon(add)
            async with anyio.create_task_group() as given_up:
                given_up.start_soon(add)
                await anyio.wait_all_tasks_blocked()
                given_up.cancel_scope.cancel()
            gate.set()
        assert numbers == list(range(1, 21))
        assert outbox.count() == 20
    assert sizes == [1, 19]


async def _nobody() -> JobsTransported:
    raise Unavailable("no broker is there")


async def _nothing(marks: list[Mark]) -> JobsFates:
    raise AssertionError(marks)
