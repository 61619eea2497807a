"""A note in the home: which client process has the agent's mail. The hooks of a session read it.

Two windows of one client in one project run the same hooks. Without the note, the end of a turn in one window would
settle what the other one is still working on.
"""

import os
from contextlib import suppress
from pathlib import Path

from wire.home import Home
from wire.private_files import write_secret


def note_path(home: Home, agent: str) -> Path:
    """Say where the note of an agent lies; `mcp_tools.hooks.session` knows it too."""
    return home.run / f"session-{agent}"


class SessionNote:
    """Holds two process ids while the agent is attached: our own, and that of the client that started us."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = f"{os.getpid()} {os.getppid()}"

    def put(self) -> None:
        """Write it. Where that fails, hooks settle for every window: no reason to refuse mail."""
        with suppress(OSError):
            write_secret(self._path, self._text)

    def remove(self) -> None:
        """Remove it, if it is still ours."""
        with suppress(OSError, UnicodeDecodeError):
            if self._path.read_text(encoding="ascii").strip() == self._text:
                self._path.unlink()
