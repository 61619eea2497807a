"""What a prompt says beside the mail: that a session was left behind, that notes are too large, that they are shorter.

Each is said until a turn whose prompt held it was finished; a mark in a file of ours outlives the harness.
"""

import json
from pathlib import Path

from harness.notes import Notes
from harness.workspace import Workspace
from prompts.loader import render
from wire.errors import QueenpostError
from wire.logs import get_logger
from wire.private_files import write_secret
from wire.turns import Outcome

log = get_logger("turn")


class Hints:
    """Those of one agent."""

    def __init__(self, workspace: Workspace, notes_max_bytes: int) -> None:
        self._notes = Notes(workspace, notes_max_bytes)
        self._mark = workspace.ours / "context_full.json"
        self._told = False
        """The last prompt held the checkpoint."""

    def __call__(self) -> list[str]:
        """Give what the next prompt should say."""
        return [*self._checkpoint(), *self._notes.hints()]

    def ended(self, turn: str, outcome: Outcome) -> None:
        """Take in how a turn ended: it may have left its session behind, or have read what there was to be told."""
        if outcome == "completed":
            self._notes.heard()
            if self._told:
                self._told = False
                self._mark.unlink(missing_ok=True)
        elif outcome == "context_full":
            _keep(self._mark, turn)

    def _checkpoint(self) -> list[str]:
        try:
            turn = str(json.loads(self._mark.read_text(encoding="utf-8"))["turn"])
        except (OSError, ValueError, TypeError, KeyError):
            return []
        self._told = True
        notes = self._notes
        return [render("turns/checkpoint.md.j2", turn=turn, path=notes.path, has_notes=notes.size > 0)]


def _keep(mark: Path, turn: str) -> None:
    try:
        write_secret(mark, json.dumps({"turn": turn}))
    except (OSError, QueenpostError) as exc:  # the agent is told less, and no turn fails
        log.warning("checkpoint_not_kept", reason=str(exc))
