"""The operator's wish for a restart: which one is new to us, and which was the last that was carried out.

The broker says the newest wish at every attach; its number lies in the agent's `harness/` folder once it is carried
out. So a wish is heard whatever became of the link or of the harness that was told first.
"""

from pathlib import Path

from wire.agents import Restart
from wire.logs import get_logger

log = get_logger("harness")


class Wishes:
    """What is known of one agent's restarts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: int | None = None
        """Kept in memory too: a disk that takes no number must not mean a restart without end."""
        self.fresh = False
        """A new session belongs to what is new."""

    def is_new(self, wish: Restart | None) -> bool:
        """Say whether a wish is still to be carried out, and remember whether a new session belongs to it."""
        if wish is None or wish.number in {self._done, self._read()}:
            return False
        self.fresh = self.fresh or wish.fresh
        return True

    def note(self, wish: Restart) -> None:
        """Note that a wish was carried out."""
        self.fresh = False
        self._done = wish.number
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.write_text(f"{wish.number}\n", encoding="utf-8")
        except OSError as exc:
            log.warning("restart_not_noted", number=wish.number, reason=str(exc))

    def _read(self) -> int | None:
        try:
            return int(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
