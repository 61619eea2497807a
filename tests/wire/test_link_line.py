"""A publisher's line over the link: in order, few at once, and what a lost one says of the events on it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from tests.wire.test_publisher_troubles import troubled
from wire import publisher as module
from wire.backoff import Backoff
from wire.errors import Denied, Full, Internal, Limited, QueenpostError, Unavailable
from wire.jobs import JobsFates, JobsTransported, Mark
from wire.link_line import AT_ONCE, LinkLine, line_of
from wire.mqtt import LineLost
from wire.outbox import Outbox
from wire.publisher import Publisher

pytestmark = pytest.mark.anyio

TOLD = JobsTransported(url="mqtt://127.0.0.1:1", prefix="queenpost/demo", kind="mosquitto", by_link=True)


def at_once(_: Backoff) -> float:
    """Wait for nothing."""
    return 0.0


@dataclass
class Broker:
    """The fleet's broker as a publisher elsewhere sees it: takes what it is given, as a test lets it."""

    taken: list[bytes] = field(default_factory=list[bytes])
    under_way: list[str] = field(default_factory=list[str])
    """Topics of events that are not answered."""
    most: int = 0
    opened: anyio.Event = field(default_factory=anyio.Event)
    refuses: Callable[[bytes], QueenpostError | None] = lambda _: None

    async def tell(self) -> JobsTransported:
        """See `Records`."""
        return TOLD

    async def carry(self, topic: str, payload: bytes, retain: bool) -> None:
        """See `Records`."""
        assert retain == payload.endswith(b"!")
        self.under_way.append(topic)
        self.most = max(self.most, len(self.under_way))
        assert len(set(self.under_way)) == len(self.under_way), "two events of one job"
        try:
            await self.opened.wait()
        finally:
            self.under_way.remove(topic)
        refusal = self.refuses(payload)
        if refusal is not None:
            raise refusal
        self.taken.append(payload)

    async def confirm(self, marks: list[Mark]) -> JobsFates:
        """See `Records`."""
        said = {payload.strip(b"!") for payload in self.taken}
        return JobsFates(fates=["recorded" if str(mark.seq).encode() in said else "unknown" for mark in marks])


@asynccontextmanager
async def publishing(folder: Path, broker: Broker, events: int, jobs: int = 1) -> AsyncGenerator[Publisher]:
    """Run a publisher of which so many events of each job wait already."""
    with Outbox(folder / "private" / "outbox.db") as outbox:
        for _ in range(events):
            for job in range(1, jobs + 1):
                outbox.add(f"j{job}", 1, f"t{job}", lambda seq: str(seq).encode(), retain=False)
        publisher = Publisher("test", outbox, broker.tell, broker.confirm, broker.carry)
        async with anyio.create_task_group() as group:
            group.start_soon(publisher.run)
            with anyio.fail_after(20):
                yield publisher
            group.cancel_scope.cancel()


async def test_events_go_over_the_link_a_few_at_once_and_in_order(tmp_path: Path) -> None:
    """DESIGN 4: an agent has eight requests in flight on a connection, and waits for its mail with some of them."""
    broker = Broker()
    async with publishing(tmp_path, broker, 6, jobs=5) as publisher:
        await anyio.wait_all_tasks_blocked()
        broker.opened.set()
        await publisher.drained()
    assert sorted(broker.taken) == sorted(str(number).encode() for number in range(1, 7) for _ in range(5))
    assert broker.most == AT_ONCE < 8


async def test_no_event_of_a_job_is_on_the_way_before_the_one_before_it_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: it could be taken where that one was not, and a job that takes them in order would have that one never."""
    monkeypatch.setattr(Backoff, "next_s", at_once)
    asked: list[bytes] = []

    def refuse(payload: bytes) -> QueenpostError | None:
        asked.append(payload)
        return Unavailable("the bridge connects") if payload == b"2" and asked.count(payload) < 3 else None

    broker = Broker(refuses=refuse)
    broker.opened.set()
    async with publishing(tmp_path, broker, 4) as publisher:
        await publisher.drained()
    assert list(dict.fromkeys(broker.taken)) == [b"1", b"2", b"3", b"4"]
    assert asked.index(b"3") > asked.index(b"2") + 1


async def test_an_end_is_retained(tmp_path: Path) -> None:
    """[X06] As on the machine of the fleet."""
    broker = Broker()
    broker.opened.set()
    async with publishing(tmp_path, broker, 0) as publisher:
        await publisher.add("j1", 1, "t1", lambda seq: f"{seq}!".encode(), retain=True)
        await publisher.drained()
    assert broker.taken == [b"1!"]


@pytest.mark.parametrize(
    "refusal",
    [Unavailable("the broker is away"), Limited("too many at once"), Full("the disk is full"), Internal("a defect")],
)
async def test_a_lost_link_is_said_accuses_no_event_and_everything_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: QueenpostError
) -> None:
    """Ours: however often it is lost; an event that was suspected of it would be sent alone, and put off in the end."""
    monkeypatch.setattr(Backoff, "next_s", at_once)
    broker = Broker()
    broker.opened.set()
    lost: list[bytes] = []

    def refuse(payload: bytes) -> QueenpostError | None:
        lost.append(payload)
        return refusal if len(lost) <= 30 else None

    broker.refuses = refuse
    async with publishing(tmp_path, broker, 6) as publisher:
        assert refusal.message in await troubled(publisher, "sent again")
        await publisher.drained()
    assert broker.taken == [str(number).encode() for number in range(1, 7)]
    assert lost[:30].count(b"1") >= 10  # nobody was put off


async def test_what_the_mqtt_broker_hangs_up_over_keeps_back_none_but_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[X07] As on the machine of the fleet: it is sent alone, then put off, and the others go on."""
    monkeypatch.setattr(Backoff, "next_s", at_once)
    broker = Broker(refuses=lambda payload: Unavailable("it hung up", hung_up=True) if payload == b"2" else None)
    broker.opened.set()
    async with publishing(tmp_path, broker, 6) as publisher:
        assert "ends the connection over event 2 of j1" in await troubled(publisher, "over event")
        assert publisher.outbox.count() == 1
    assert set(broker.taken) == {b"1", b"3", b"4", b"5", b"6"}


async def test_what_is_refused_is_said_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a refusal is no lost link."""
    monkeypatch.setattr(module, "AGAIN_AFTER_S", 0.05)
    broker = Broker(refuses=lambda payload: Denied("not this one") if payload == b"2" else None)
    broker.opened.set()
    async with publishing(tmp_path, broker, 3) as publisher:
        assert await troubled(publisher, "not this one")
        with anyio.fail_after(10):
            while publisher.outbox.count() > 1:  # noqa: ASYNC110  # nothing announces it
                await anyio.sleep(0.01)
    assert set(broker.taken) == {b"1", b"3"}


async def test_what_waited_for_its_turn_when_the_link_was_lost_was_not_sent() -> None:
    """Ours: it is sent with the rest on the next one, in order."""
    sent: list[bytes] = []
    gate = anyio.Event()

    async def carry(_topic: str, payload: bytes, _retain: bool) -> None:
        sent.append(payload)
        await gate.wait()
        raise Unavailable("the link is gone")

    line = LinkLine("there", carry)
    lost: list[str] = []

    async def publish(number: int) -> None:
        try:
            await line.publish(f"t{number}", str(number).encode())
        except LineLost as exc:
            lost.append(exc.message)

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(publish, number)
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert sent == [b"0", b"1", b"2"]
    assert lost == ["the link is gone; what waits is sent again"] * 10
    assert not line.hung_up


async def test_who_is_told_of_the_link_opens_no_connection_of_mqtt() -> None:
    """Ours: there is nothing at that address from here."""

    async def carry(_topic: str, _payload: bytes, _retain: bool) -> None:
        pass

    async with line_of(TOLD, "name", carry) as line:
        await line.publish("t", b"{}")
        assert line.where == "mqtt://127.0.0.1:1 beside the fleet's broker"
        assert not line.lost.is_set()
