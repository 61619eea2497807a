"""turn.json: which program runs now."""

import os
from dataclasses import replace

from harness.processes import identity
from harness.turn_file import noted, read, write
from harness.workspace import Workspace
from wire.home import Home


def test_it_is_there_while_the_program_runs(home: Home) -> None:
    """[H19]: in the folder of the harness, not in the agent's own, and readable by its owner only."""
    workspace = Workspace(home, "alice")
    workspace.make()
    with noted(workspace, "t1", ["m1"], os.getpid(), 5):
        note = read(workspace.turn_file)
        assert note is not None
        assert (note.agent, note.turn, note.mail, note.pid) == ("alice", "t1", ["m1"], os.getpid())
        assert note.process == identity(os.getpid()) == note.harness
        assert workspace.turn_file.stat().st_mode & 0o777 == 0o600
        assert workspace.turn_file.parent == home.agent_harness("alice")
    assert read(workspace.turn_file) is None


def test_a_broken_one_is_none(home: Home) -> None:
    """Ours: a crash or a newer version left something else."""
    path = home.root / "turn.json"
    for text in ("", "[]", "{}", '{"agent": 1', "null"):
        path.write_text(text)
        assert read(path) is None


def test_unknown_fields_are_ignored(home: Home) -> None:
    """Ours: a newer harness may say more."""
    workspace = Workspace(home, "alice")
    workspace.make()
    with noted(workspace, "t1", [], 1, 5):
        note = read(workspace.turn_file)
        assert note
        write(workspace.turn_file, replace(note, turn="t2"))
        text = workspace.turn_file.read_text().replace("{", '{"newer": true, ', 1)
        workspace.turn_file.write_text(text)
        again = read(workspace.turn_file)
        assert again
        assert again.turn == "t2"


def test_not_being_able_to_write_it_fails_no_turn(home: Home) -> None:
    """Ours: the folder is gone, the program runs all the same."""
    with noted(Workspace(home, "alice"), "t1", [], 1, 5):
        pass
