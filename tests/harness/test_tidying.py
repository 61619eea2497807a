"""When notes are made shorter: behind a finished turn, and not where something is in the way."""

from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import replace

import anyio
import pytest

from harness.backends.protocol import Backend
from harness.compaction import Compactor
from harness.freezing import Freezing
from harness.notes import Notes
from harness.tidying import SHORTENING, Tidier
from harness.turn_loop import TurnLoop
from mcp_tools.notes import NotesDesk
from tests.harness.conftest import MakeStage, Stage
from tests.harness.fake_backend import FakeBackend, FakeProgram
from wire.errors import Unknown
from wire.freeze_file import change_frozen
from wire.notes import NotesBegin, NotesEnd

LONG = "what I did\n" * 100


class Tidy:
    """A stage whose agent has notes, and the program that makes them shorter."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.backend = FakeBackend()
        self.desks: list[NotesDesk] = []
        hosted = stage.hosted
        self.notes = Notes(hosted.workspace, hosted.settings.notes_max_bytes)
        self.notes.path.write_text(LONG)
        compactor = Compactor(self.notes, hosted.workspace, self._beside, hosted.clock)
        tidier = Tidier(compactor, hosted.post, hosted.account, hosted.reporter, hosted.clock)
        stage.hosted = replace(hosted, tidy=tidier)
        stage.loop = TurnLoop(stage.hosted)

    @contextmanager
    def _beside(self, desk: NotesDesk) -> Generator[Backend]:
        self.desks.append(desk)
        yield self.backend

    async def turn(self, *mail: str) -> FakeProgram:
        """Let mail come and its turn begin."""
        for body in mail:
            self.stage.office.put("alice", body)
        return await self.stage.backend.next_program()

    @property
    def asked(self) -> bool:
        """Whether the broker was asked if it may be."""
        return "notes.begin" in self.stage.office.asked


@pytest.fixture
async def tidy(stage_for: MakeStage) -> AsyncGenerator[Tidy]:
    """Alice's notes are too large."""
    made = Tidy(await stage_for(notes_max_bytes=500))
    yield made
    made.backend.close()


async def test_behind_a_finished_turn_the_notes_are_made_shorter_and_the_agent_hears_of_it(tidy: Tidy) -> None:
    """[H33]: it is nudged before, parked meanwhile, and told with its next mail; once."""
    stage = tidy.stage
    with anyio.fail_after(10):
        async with stage.running():
            first = await tidy.turn("hello")
            assert "has grown to 1.1 KiB" in first.prompt
            first.ends()
            session = await tidy.backend.next_program()
            assert (stage.box.reports[-1].state, stage.box.reports[-1].reason) == ("parked", SHORTENING)
            assert stage.loop.resting
            assert stage.box.turn is None
            tidy.desks[0].save("short")
            session.ends()
            await stage.office.until(lambda: stage.box.notes_ends)
            assert tidy.notes.path.read_text() == "short\n"
            second = await tidy.turn("and now?")
            assert "was shortened from 1.1 to 0 KiB" in second.prompt
            second.ends("crashed", "no")
            third = await tidy.turn()
            assert "was shortened" in third.prompt
            third.ends()
            fourth = await tidy.turn("more")
            assert "shortened" not in fourth.prompt
            fourth.ends()
    assert [(end.outcome, end.reason) for end in stage.box.notes_ends] == [("completed", "from 1.1 to 0 KiB")]
    assert tidy.backend.started == 1


async def test_without_a_turn_it_is_not_done(tidy: Tidy) -> None:
    """[P04] [H33]: a fleet that has nothing to do asks no model, nor does a turn that failed."""
    async with tidy.stage.running():
        await tidy.stage.office.until(lambda: "turns.open" in tidy.stage.office.asked)
        (await tidy.turn("hello")).ends("crashed", "no")
        (await tidy.turn()).begins()
        assert not tidy.asked


async def test_mail_that_waits_goes_first_unless_the_notes_are_far_too_large(tidy: Tidy) -> None:
    """[H33]: behind the next turn it is looked at again."""
    with anyio.fail_after(10):
        async with tidy.stage.running():
            first = await tidy.turn("one")
            tidy.notes.path.write_text(LONG[:900])
            tidy.stage.office.put("alice", "two")
            first.ends()
            second = await tidy.turn()
            assert tidy.asked
            assert tidy.backend.started == 0
            tidy.notes.path.write_text(LONG)
            tidy.stage.office.put("alice", "three")
            second.ends()
            (await tidy.backend.next_program()).ends("crashed", "no")
            (await tidy.turn()).ends()
    assert tidy.notes.path.read_text() == LONG


@pytest.mark.parametrize("why", ["wall", "full", "refused", "small", "unknown"])
async def test_something_in_the_way_is_respected(tidy: Tidy, why: str) -> None:
    """[H33]: a wall, the account's turns, the broker's no, an older broker; notes that are not too large."""
    stage = tidy.stage
    match why:
        case "full":
            stage.hosted.account.max_running = 1
        case "refused":
            stage.office.may_shorten = "its budget for today is spent"
        case "unknown":
            stage.office.refuse(NotesBegin, Unknown("no such op"))
        case _:
            pass
    with anyio.fail_after(10):
        async with stage.running():
            program = await tidy.turn("hello")
            if why == "small":
                tidy.notes.path.write_text("short")
            if why == "full":
                stage.hosted.account.running = 2
            program.ends("rate_limited" if why == "wall" else "completed", "later")
            if why == "full":
                await stage.office.until(lambda: stage.box.handled)
            else:
                await stage.office.until(lambda: stage.box.closes)
                (await tidy.turn("again")).begins()
    assert tidy.backend.started == 0
    assert tidy.asked == (why in ("refused", "unknown"))


async def test_a_wall_that_it_meets_is_one_for_all(tidy: Tidy) -> None:
    """[H33]: it is counted, and the account parks as behind a turn."""
    stage = tidy.stage
    with anyio.fail_after(10):
        async with stage.running():
            (await tidy.turn("hello")).ends()
            (await tidy.backend.next_program()).ends("rate_limited", "try later")
            await stage.office.until(lambda: stage.box.notes_ends)
            assert stage.box.notes_ends[0].outcome == "rate_limited"
            assert stage.hosted.account.wall is not None
    assert tidy.notes.path.read_text() == LONG


async def test_not_being_able_to_count_it_costs_nothing_else(tidy: Tidy) -> None:
    """[H33]: statistics never fail a turn."""
    tidy.stage.office.refuse(NotesEnd, Unknown("no such op"))
    with anyio.fail_after(10):
        async with tidy.stage.running():
            (await tidy.turn("hello")).ends()
            session = await tidy.backend.next_program()
            tidy.desks[0].save("short")
            session.ends()
            (await tidy.turn("again")).ends()
    assert tidy.notes.path.read_text() == "short\n"


@pytest.mark.parametrize("what", ["leave", "freeze"])
async def test_whoever_ends_the_loop_or_freezes_the_agent_ends_it_too(tidy: Tidy, what: str) -> None:
    """[H33] DESIGN 5.18: the notes stay as they were; news of settings do not end it."""
    stage = tidy.stage
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.loop.run)
            (await tidy.turn("hello")).ends()
            session = await tidy.backend.next_program()
            stage.loop.wake()
            await anyio.wait_all_tasks_blocked()
            assert not session.left.is_set()
            if what == "freeze":
                change_frozen(stage.hosted.workspace.home.frozen, lambda now: now.and_also(["alice"]))
                stage.loop.freeze()
            else:
                stage.loop.leave()
            await session.left.wait()
            tasks.cancel_scope.cancel()
    assert tidy.notes.path.read_text() == LONG
    assert isinstance(stage.hosted.freezing, Freezing)
