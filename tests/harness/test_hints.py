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


def test_the_next_harness_knows_of_it(home: Home) -> None:
    """[H38]: the mark lies with what is ours; an agent without notes is told that they are missing."""
    workspace = Workspace(home, "alice")
    workspace.make()
    Hints(workspace, 1000).ended("t7", "context_full")
    hints = Hints(workspace, 1000)
    (checkpoint,) = hints()
    assert "in turn t7" in checkpoint
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
