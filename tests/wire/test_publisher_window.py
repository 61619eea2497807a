"""The publisher and the replay window: what waits is not overtaken so far that it could not be taken any more."""

from pathlib import Path

import anyio
import pytest

from tests.fakes.jobbing import no_link
from tests.fakes.jobs import fates, heard, publisher
from tests.fakes.office import FakeOffice
from wire.jobs import REPLAY_WINDOW, JobsFates, JobsTransported, Mark
from wire.outbox import Order, Outbox, Waiting
from wire.publisher import PAGE, Publisher, Way

pytestmark = pytest.mark.anyio


async def tell() -> JobsTransported:
    """Nobody asks for it here."""
    raise AssertionError


async def confirm(marks: list[Mark]) -> JobsFates:
    """Nobody asks for it here."""
    raise AssertionError(marks)


def waiting(number: int, job: str, seq: int) -> Waiting:
    """Give an event that waits."""
    return Waiting(number, job, 1, seq, "topic", b"{}", retain=False)


async def test_nothing_goes_so_far_ahead_that_what_waits_is_behind_the_window(tmp_path: Path) -> None:
    """Reliability 4.2: of each claim only as many go on as the window holds, counted from the oldest that waits."""
    with Outbox(tmp_path / "private" / "outbox.db") as outbox:
        one = Publisher("test", outbox, tell, confirm, no_link)
        some = [waiting(1, "a", 7), waiting(2, "a", 6 + REPLAY_WINDOW), waiting(3, "a", 7 + REPLAY_WINDOW)]
        other = waiting(4, "b", 5000)
        due = one._due([*some, other], {})  # pyright: ignore[reportPrivateUsage]
    assert due == [*some[:2], other]


async def test_what_waits_for_good_keeps_back_no_other(tmp_path: Path) -> None:
    """Ours: behind a page of events that were sent and are not recorded, what is new is found all the same."""
    with Outbox(tmp_path / "private" / "outbox.db") as outbox:
        one = Publisher("test", outbox, tell, confirm, no_link)
        outbox.add_all([Order("a", 1, "t", lambda _: b"{}", retain=False) for _ in range(PAGE + 1)])
        way = Way("127.0.0.1:1", "queenpost/fleet")
        assert len(await one._look(way)) == PAGE  # pyright: ignore[reportPrivateUsage]
        way.sent |= dict.fromkeys(range(1, PAGE + 2), anyio.current_time())
        assert await one._look(way) == []  # pyright: ignore[reportPrivateUsage]
        assert len(way.waiting) == PAGE + 1
        outbox.add("b", 1, "t", lambda _: b"{}", retain=False)
        assert [late.job for late in await one._look(way)] == ["b"]  # pyright: ignore[reportPrivateUsage]


def test_what_lies_behind_the_window_has_a_fate() -> None:
    """Reliability 4.2: it is never taken, so nobody keeps and resends it for ever; what may still be taken is."""
    with FakeOffice() as office:
        worker = publisher(office)
        early, edge = worker.signed("progress", seq=1), worker.signed("progress", seq=2)
        worker.say("progress", seq=1 + REPLAY_WINDOW)
        assert fates(office, (worker.job, 1, 1), (worker.job, 1, 2)) == ["fenced", "unknown"]
        assert heard(office, worker.claimed.topic, early).reason == "replayed"
        assert heard(office, worker.claimed.topic, edge).ruling == "accepted"


def test_a_strict_job_has_no_place_for_what_comes_late() -> None:
    """DESIGN 7: `strict` takes only growing numbers; its publisher learns that an overtaken event is lost."""
    with FakeOffice() as office:
        worker = publisher(office, replay="strict")
        worker.say("progress", seq=2)
        assert fates(office, (worker.job, 1, 1), (worker.job, 1, 3)) == ["fenced", "unknown"]
