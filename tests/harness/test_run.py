"""One program over one turn."""

import json

import anyio
import pytest

from harness.lease import Lease
from harness.run import Ending, Run
from tests.harness.conftest import MakeStage, Stage
from tests.harness.fake_backend import FakeProgram
from wire.turns import TurnsOpen, TurnsOpened


class Show:
    """A run and its ending."""

    def __init__(self, stage: Stage, run: Run) -> None:
        self.stage = stage
        self.run = run
        self.ending: Ending | None = None

    async def __call__(self) -> None:
        self.ending = await self.run("the prompt")


async def show_for(stage: Stage, *, silence_s: float = 900.0) -> Show:
    """Open a turn of alice and prepare its run."""
    stage.office.put("alice")
    opened = await stage.office.call(TurnsOpen(wait_s=0), TurnsOpened, as_="alice")
    assert opened.turn
    hosted = stage.hosted
    with hosted.desk.serving(opened.turn) as open_turn:
        lease = Lease(open_turn, hosted.post)
    run = Run(
        opened.turn, stage.backend, lease, hosted.workspace,
        silence_s=silence_s, secrets=("the-bearer",), now_ms=lambda: 5,
    )  # fmt: skip
    return Show(stage, run)


@pytest.fixture
async def show(stage: Stage) -> Show:
    """A run with all the time in the world."""
    return await show_for(stage)


async def program_of(show: Show) -> FakeProgram:
    """Wait for the program."""
    return await show.stage.backend.next_program()


async def test_the_output_becomes_the_transcript(show: Show) -> None:
    """Ours: with the bearer masked."""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show)
            program = await program_of(show)
            program.begins(b"my key is the-bearer\n")
            program.ends()
    assert show.ending
    assert show.ending.begun
    transcripts = show.stage.hosted.workspace.transcripts
    assert [path.read_text() for path in transcripts.iterdir()] == ["my key is [masked]\n"]


async def test_the_turn_file_lives_as_long_as_the_program(show: Show) -> None:
    """Ours: console and reaper find the program by it."""
    path = show.stage.hosted.workspace.turn_file
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show)
            program = await program_of(show)
            program.begins()
            await show.stage.office.until(lambda: show.stage.box.begun)
            note = json.loads(path.read_text())
            assert (note["agent"], note["mail"], note["pid"], note["started_at_ms"]) == ("alice", ["m1"], 1, 5)
            program.ends()
    assert not path.exists()


async def test_a_program_that_only_confirms_is_silent(stage: Stage) -> None:
    """[H38] It hears us, and the model says nothing: it is told once, and interrupted all the same."""
    show = await show_for(stage, silence_s=0.1)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show)
            program = await program_of(show)
            program.begins()
            while not program.told:
                await anyio.lowlevel.checkpoint()
            program.confirms()
            await program.interrupted.wait()
            program.ends("interrupted")
            assert len(program.told) == 1
    assert show.ending
    assert show.ending.outcome == "hung"


async def test_a_silent_program_is_told_interrupted_and_killed(stage: Stage) -> None:
    """Ours: DESIGN 5.6; it ends as hung, which counts if it had begun."""
    show = await show_for(stage, silence_s=0.1)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show)
            program = await program_of(show)
            program.begins()
            await program.left.wait()
            assert program.interrupted.is_set()
            assert "Please finish this turn now" in program.told[0]
    assert show.ending
    assert (show.ending.outcome, show.ending.begun) == ("hung", True)


async def test_a_program_that_obeys_the_interrupt_was_hung_all_the_same(stage: Stage) -> None:
    """Ours: what it exits with then is not its own end."""
    show = await show_for(stage, silence_s=0.1)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show)
            program = await program_of(show)
            await program.interrupted.wait()
            program.ends("crashed", "killed by SIGINT")
    assert show.ending
    assert show.ending.outcome == "hung"


async def test_a_program_that_ends_without_a_word_crashed(show: Show) -> None:
    """Ours: no result is no success, whatever the exit code."""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show)
            (await program_of(show)).vanishes()
    assert show.ending
    assert show.ending.outcome == "crashed"


async def test_its_own_end_counts_when_it_was_stopped_too_late(show: Show) -> None:
    """Ours: a finished turn is not made undone by a stop in the same moment."""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show)
            (await program_of(show)).ends()
            await anyio.wait_all_tasks_blocked()
            show.run.stop("stopped", "too late")
    assert show.ending
    assert show.ending.outcome == "completed"


async def test_what_was_stopped_before_it_began_starts_nothing(show: Show) -> None:
    """Ours: no program is started only to be killed."""
    show.run.stop("stopped", "the harness is stopping")
    await show()
    assert show.ending
    assert show.ending.outcome == "stopped"
    assert show.stage.backend.started == 0


async def test_a_lapsed_turn_ends_its_program(stage_for: MakeStage) -> None:
    """[P14]: mail that went elsewhere is not worked on twice."""
    stage = await stage_for()
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            program = await stage.backend.next_program()
            stage.office.lapse("alice")
            program.begins()  # the lease is renewed then
            await program.left.wait()
            again = await stage.backend.next_program()
            again.ends()
            await stage.handled("m1")
    assert stage.sleeps == [1.0]
