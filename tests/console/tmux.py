"""A tmux server of a test's own, on a private socket: nobody else's sessions are in reach."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tmux:
    """Sessions that do nothing, for as long as they are left alone."""

    socket: Path

    def start(self, session: str) -> None:
        """Start a session; the first one starts the server."""
        self._say("-f", os.devnull, "new-session", "-d", "-s", session, "cat").check_returncode()

    def sessions(self) -> list[str]:
        """Name the sessions, sorted; none where there is no server."""
        return sorted(self._say("list-sessions", "-F", "#{session_name}").stdout.split())

    def end(self) -> None:
        """End the server with all its sessions."""
        self._say("kill-server")

    def _say(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if name not in ("TMUX", "TMUX_PANE")}
        line = ["tmux", "-S", str(self.socket), *words]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=30, env=environment)


@contextmanager
def private_tmux(socket: Path) -> Generator[Tmux]:
    """Give a server that ends with the test; it starts with its first session."""
    tmux = Tmux(socket)
    try:
        yield tmux
    finally:
        if socket.exists():
            tmux.end()
