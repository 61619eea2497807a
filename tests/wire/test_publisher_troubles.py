"""The publisher where the MQTT broker is away, hears nothing, or takes no long message: kept, said why, no storm."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.fakes.jobbing import no_link
from tests.fakes.outside import Outside, needs_mosquitto
from wire import publisher as module
from wire.errors import Unavailable
from wire.jobs import JobsFates, JobsTransported, Mark
from wire.mqtt import connected
from wire.outbox import Outbox
from wire.publisher import Publisher
from wire.suspects import Suspects

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

TOPIC = "queenpost/demo/jobs/j1/events"
HOUR_S = 3600.0


class Hours:
    """anyio, with pauses that take no time and are counted all the same."""

    def __init__(self) -> None:
        self.skipped_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(anyio, name)

    async def sleep(self, seconds: float) -> None:
        self.skipped_s += seconds
        await anyio.lowlevel.checkpoint()

    def current_time(self) -> float:
        return self.skipped_s + anyio.current_time()


@dataclass
class Ears:
    """The fleet's broker, as far as a publisher knows it: where MQTT is, and what was heard over it."""

    outside: Outside
    heard: list[bytes] = field(default_factory=list[bytes])
    asked: int = 0

    async def tell(self) -> JobsTransported:
        self.asked += 1
        return JobsTransported(url=self.outside.url(), prefix="queenpost/demo", kind="external")

    async def confirm(self, marks: list[Mark]) -> JobsFates:
        return JobsFates(fates=["recorded" if _named(mark.seq) in self._names() else "unknown" for mark in marks])

    def _names(self) -> set[bytes]:
        return {payload.rstrip(b".") for payload in self.heard}

    async def listen(self) -> None:
        async with connected(self.outside.transport(), "ears", clean=True) as line:
            await line.subscribe(TOPIC)
            async for heard in line.heard:
                self.heard.append(heard.payload)
                line.settle(heard)


def _named(seq: int) -> bytes:
    return f"event {seq}".encode()


async def say(publisher: Publisher, size: int = 0) -> int:
    """Publish something that begins with its number and has a length."""
    return await publisher.add("j1", 1, TOPIC, lambda seq: _named(seq).ljust(size, b"."), retain=False)


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    """An empty one."""
    with Outbox(tmp_path / "private" / "outbox.db") as outbox:
        yield outbox


@asynccontextmanager
async def publishing(outbox: Outbox, ears: Ears) -> AsyncGenerator[Publisher]:
    """Run a publisher."""
    publisher = Publisher("test", outbox, ears.tell, ears.confirm, no_link)
    async with anyio.create_task_group() as group:
        group.start_soon(publisher.run)
        yield publisher
        group.cancel_scope.cancel()


async def troubled(publisher: Publisher, words: str) -> str:
    """Wait until it says why something waits; gives all of it."""
    with anyio.fail_after(60):
        while words not in publisher.trouble:  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)
    return publisher.trouble


@needs_mosquitto
async def test_an_mqtt_broker_that_is_away_for_an_hour_gets_everything(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[X07] Issue 5: down at start and for an hour: kept, the reason known, no storm of attempts."""
    hours = Hours()
    monkeypatch.setattr(module, "anyio", hours)
    monkeypatch.setattr(module, "AGAIN_AFTER_S", 0.2)
    ears = Ears(Outside(tmp_path / "o"))
    async with publishing(outbox, ears) as publisher:
        for _ in range(20):
            await say(publisher)
        with anyio.fail_after(100):
            while hours.skipped_s < HOUR_S:
                await anyio.lowlevel.checkpoint()
        assert "start it, or see [mqtt] url" in publisher.trouble
        assert HOUR_S / 5 <= ears.asked <= HOUR_S
        assert outbox.count() == 20
        async with ears.outside.running(), anyio.create_task_group() as group:
            group.start_soon(ears.listen)
            await say(publisher)
            with anyio.fail_after(60):
                while outbox.count():  # noqa: ASYNC110  # nothing announces it
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    assert set(ears.heard) == {_named(seq) for seq in range(1, 22)}


@needs_mosquitto
async def test_what_was_taken_and_not_heard_is_said_and_sent_again(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 5: no permission by ACL: PUBACK is no proof; nothing is given up."""
    monkeypatch.setattr(module, "AGAIN_AFTER_S", 0.2)
    ears = Ears(Outside(tmp_path / "o"))
    async with ears.outside.running(), publishing(outbox, ears) as publisher:
        await say(publisher)
        said = await troubled(publisher, "did not hear it")
        assert f"localhost:{ears.outside.port} took event 1 of j1" in said
        assert "`queenpost doctor` says which rule" in said
        async with anyio.create_task_group() as group:
            group.start_soon(ears.listen)
            with anyio.fail_after(60):
                await publisher.drained()
            group.cancel_scope.cancel()
        with anyio.fail_after(60):
            while publisher.trouble:  # noqa: ASYNC110  # nothing announces it
                await anyio.sleep(0.01)


@needs_mosquitto
async def test_what_was_signed_for_topics_that_are_no_more_is_told_apart(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: the fleet was renamed meanwhile; no rule of the MQTT broker is to blame."""
    monkeypatch.setattr(module, "AGAIN_AFTER_S", 0.2)
    ears = Ears(Outside(tmp_path / "o"))
    async with ears.outside.running(), publishing(outbox, ears) as publisher:
        await publisher.add("j1", 1, "queenpost/former/jobs/j1/events", _named, retain=False)
        said = await troubled(publisher, "Claim the job again")
    assert "signed for queenpost/former/jobs/j1/events, and the fleet hears queenpost/demo/jobs/+/events" in said


@needs_mosquitto
async def test_one_event_that_no_broker_takes_keeps_back_none_but_itself(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 5: an MQTT broker with a lower limit than ours ends the connection, and says no word of why."""
    monkeypatch.setattr(module, "STEADY_S", 0.0)  # no growing pauses
    small = Outside(tmp_path / "o", lines=["max_packet_size 20000"])
    ears = Ears(small)
    async with publishing(outbox, ears) as publisher:
        async with small.running(), anyio.create_task_group() as group:
            group.start_soon(ears.listen)
            for size in (0, 60_000, 0, 0):
                await say(publisher, size)
            said = await troubled(publisher, "of 60000 bytes; is that longer than it takes?")
            assert "event 2 of j1" in said
            with anyio.fail_after(60):
                while outbox.count() > 1:  # noqa: ASYNC110  # nothing announces it
                    await anyio.sleep(0.01)
            assert [one.seq for one in outbox.waiting()] == [2]
            group.cancel_scope.cancel()
        small.lines.clear()
        async with small.running(), anyio.create_task_group() as group:
            group.start_soon(ears.listen)
            with anyio.fail_after(60):
                await publisher.drained()
            group.cancel_scope.cancel()


@needs_mosquitto
async def test_an_outbox_that_cannot_be_used_for_a_while_ends_no_publisher(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: a full disk, or a file that another process holds: said, and gone on with."""
    ears = Ears(Outside(tmp_path / "o"))
    broken = True
    settle, count = outbox.settle, outbox.count

    def failing(act: Callable[..., Any]) -> Callable[..., Any]:
        def do(*arguments: Any) -> Any:
            if broken:
                raise Unavailable("the outbox cannot be used now: disk I/O error")
            return act(*arguments)

        return do

    async with ears.outside.running(), publishing(outbox, ears) as publisher, anyio.create_task_group() as group:
        group.start_soon(ears.listen)
        monkeypatch.setattr(outbox, "settle", failing(settle))
        await say(publisher)
        await troubled(publisher, "disk I/O error")
        monkeypatch.setattr(outbox, "count", failing(count))
        await troubled(publisher, "disk I/O error")
        broken = False
        with anyio.fail_after(60):
            await publisher.drained()
        group.cancel_scope.cancel()


def test_suspicion_falls_on_what_was_on_the_way_and_ends_with_an_arrival() -> None:
    """Ours: many on the way are each tried alone; only who is alone three times waits, longer each time."""
    suspects = Suspects()
    suspects.accuse([1, 2], now_s=0.0)
    assert (suspects.is_alone(1), suspects.is_alone(2), suspects.is_alone(3)) == (True, True, False)
    suspects.clear(1)
    assert not suspects.is_alone(1)
    waits: list[float] = []
    for _ in range(8):
        suspects.accuse([2], now_s=0.0)
        waits.append(max((s for s in range(100) if suspects.is_put_off(2, s)), default=-1) + 1)
    assert waits == [0, 0, 8, 16, 32, 60, 60, 60]
    suspects.clear(2)
    assert not suspects.is_put_off(2, 0.0)
