"""Where an agent's files lie."""

from pathlib import Path

from harness.workspace import Workspace
from wire.home import Home


def test_state_and_harness_lie_apart(home: Home) -> None:
    """[H19]: and nobody but the owner may enter either."""
    workspace = Workspace(home, "alice")
    workspace.make()
    assert workspace.state.parent == home.agent_harness("alice").parent
    assert workspace.state not in workspace.transcripts.parents
    for folder in (workspace.state, home.agent_harness("alice"), workspace.transcripts):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_paths_of_the_settings(home: Home) -> None:
    """Ours: those of a file are absolute already; an agent of the database may name them from the home."""
    workspace = Workspace(home, "alice")
    assert workspace.resolve("/somewhere/else") == Path("/somewhere/else")
    assert workspace.resolve("secrets/alice.env") == home.root / "secrets" / "alice.env"
