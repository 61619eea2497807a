"""What a prompt says beside the mail: that a session was too long, that notes are too large, that they are shorter.

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

FORGIVEN = 2
"""So often in a row a full context is nobody's fault: the history was to be made shorter, then it was to be left.
What fills a new one again does so by itself, and counts."""

log = get_logger("turn")


class Hints:
    """Those of one agent."""

    def __init__(self, workspace: Workspace, notes_max_bytes: int) -> None:
        self._notes = Notes(workspace, notes_max_bytes)
        self._mark = workspace.ours / "context_full.json"
        self._told = False
        """The last prompt held the checkpoint."""
        _, self._times = self._read()
        """Turns in a row that found the context full, those of an earlier harness too."""

    def __call__(self) -> list[str]:
        """Give what the next prompt should say."""
        return [*self._checkpoint(), *self._notes.hints()]

    def ended(self, turn: str, outcome: Outcome) -> bool:
        """Take in how a turn ended: its session may have been too long, or its model have read what it was to be told.

        Gives whether the mail is forgiven: the context was full, and what filled it came from before.
        """
        if outcome == "completed":
            self._times = 0
            self._notes.heard()
            if self._told:
                self._told = False
                self._mark.unlink(missing_ok=True)
        elif outcome == "context_full":
            self._times += 1
            _keep(self._mark, turn, self._times)
        return outcome == "context_full" and self._times <= FORGIVEN

    def _read(self) -> tuple[str, int]:
        """Give the turn that found the context full last, none where none did, and how many did in a row."""
        try:
            found = json.loads(self._mark.read_text(encoding="utf-8"))
            return str(found["turn"]), int(found.get("times", 1))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return "", 0

    def _checkpoint(self) -> list[str]:
        turn, _ = self._read()
        if not turn:
            return []
        self._told = True
        notes = self._notes
        return [render("turns/checkpoint.md.j2", turn=turn, path=notes.path, has_notes=notes.size > 0)]


def _keep(mark: Path, turn: str, times: int) -> None:
    try:
        write_secret(mark, json.dumps({"turn": turn, "times": times}))
    except (OSError, QueenpostError) as exc:  # the agent is told less, and no turn fails
        log.warning("checkpoint_not_kept", reason=str(exc))
