"""What a prompt says beside the mail: above all that a session was left behind."""

import anyio

from harness.hints import Hints
from harness.workspace import Workspace
from tests.harness.conftest import Stage
from wire.home import Home


async def test_behind_a_full_context_comes_a_checkpoint_turn(stage: Stage) -> None:
    """[H38] DESIGN 8: a fresh session hears who it is, where its notes lie, and what to write down, until it has."""
    notes = stage.hosted.workspace.state / "notes.md"
    notes.write_text("half way")
    with anyio.fail_after(10):
        async with stage.running():
            mail = stage.office.put("alice", "a long job")
            first = await stage.backend.next_program()
            assert "Checkpoint" not in first.prompt
            first.begins()
            first.ends("context_full", "Prompt is too long")
            for outcome in ("crashed", "completed"):
                again = await stage.backend.next_program()
                assert "You are alice, an agent of the fleet" in again.prompt
                assert "a long job" in again.prompt
                assert f"Checkpoint: in turn {stage.box.closes[0].turn} your session" in again.prompt
                assert f"read {notes} before you act" in again.prompt
                again.ends(outcome, "")
            await stage.handled(mail)
            stage.office.put("alice", "something else")
            last = await stage.backend.next_program()
            assert "Checkpoint" not in last.prompt
            last.ends()
    assert stage.box.closes[0].outcome == "context_full"


async def test_what_came_from_before_is_forgiven_and_what_fills_a_new_session_counts(stage: Stage) -> None:
    """[H38] Twice: the session is to become shorter, then it is left. No wait in between, no loop without an end."""
    with anyio.fail_after(10):
        async with stage.running():
            mail = stage.office.put("alice", "read all of it")
            for _ in range(4):
                program = await stage.backend.next_program()
                program.begins()
                program.ends("context_full", "Prompt is too long")
            (await stage.backend.next_program()).ends()
            await stage.handled(mail)
            other = stage.office.put("alice", "long behind it")
            again = await stage.backend.next_program()
            again.begins()
            again.ends("context_full", "Prompt is too long")
            (await stage.backend.next_program()).ends()
            await stage.handled(other)
    begun = [close.begun for close in stage.box.closes if close.outcome == "context_full"]
    assert begun == [False, False, True, True, False]
    assert stage.sleeps == []


async def test_a_prompt_that_never_fits_is_not_tried_in_a_hot_loop(stage: Stage) -> None:
    """Ours: the model never began; behind the two that are forgiven it rests."""
    with anyio.fail_after(10):
        async with stage.running():
            mail = stage.office.put("alice", "hello")
            for _ in range(4):
                (await stage.backend.next_program()).ends("context_full", "Prompt is too long")
            (await stage.backend.next_program()).ends()
            await stage.handled(mail)
    assert stage.sleeps == [1.0, 2.0]


def test_the_next_harness_knows_of_it(home: Home) -> None:
    """[H38]: the mark lies with what is ours; an agent without notes is told that they are missing."""
    workspace = Workspace(home, "alice")
    workspace.make()
    Hints(workspace, 1000).ended("t7", "context_full")
    hints = Hints(workspace, 1000)
    (checkpoint,) = hints()
    assert "in turn t7" in checkpoint
    assert hints.ended("t7", "context_full")
    assert not Hints(workspace, 1000).ended("t7", "context_full"), "the third in a row"
    assert f"where {workspace.state / 'notes.md'} is missing" in checkpoint
    hints.ended("t8", "completed")
    assert Hints(workspace, 1000)() == []


def test_a_turn_that_was_not_told_does_not_end_it(home: Home) -> None:
    """[H38]: its prompt was composed before."""
    workspace = Workspace(home, "alice")
    workspace.make()
    hints = Hints(workspace, 1000)
    hints.ended("t7", "context_full")
    hints.ended("t8", "completed")
    assert len(hints()) == 1


def test_a_mark_that_cannot_be_kept_or_read_fails_no_turn(home: Home) -> None:
    """Ours: the agent is told less."""
    workspace = Workspace(home, "alice")
    hints = Hints(workspace, 1000)
    hints.ended("t7", "context_full")
    assert hints() == []
    workspace.make()
    (workspace.ours / "context_full.json").write_text("{")
    assert hints() == []
