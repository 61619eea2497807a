"""Gemini CLI at a terminal, in the agent's own session.

There it takes MCP servers from its settings only. They are those of its folder, with the agent's servers in the place
of the user's, and stand in a folder of the agent's own in which all else is a link: the user's own are left alone.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.backends.door import Door
from harness.backends.environment import MCP_TOKEN, MCP_URL
from harness.backends.gemini import launch
from harness.backends.gemini.calls import as_object
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.backends.servers import Server
from harness.backends.session_file import Session
from wire.private_files import write_secret

FOLDER = ".gemini"
SETTINGS = "settings.json"
BESIDE = (".agents", ".env")
"""What else it reads in its home."""
RECV_MS = 300_000
"""What one tool call may take: `recv` waits for up to 180 s."""
MACHINES = ("CI", "CONTINUOUS_INTEGRATION", "GITHUB_ACTIONS")
"""Where one of these is set, it takes whoever sits at the terminal for a machine, reads no key and draws nothing."""
WITHOUT = "without its mail tools: {path} is no JSON without comments, and Gemini CLI takes them from there only"


def door(seat: Seat, session: Session, *, fork: bool = False) -> Door:
    """Give the start of the program in this session; it makes no copy (`harness.backends.doors.refuse`).

    Raises:
        NotStartedError: it cannot be started.
    """
    environment = {name: value for name, value in launch.environment_of(seat).items() if name not in MACHINES}
    launch.find(seat, environment)
    launch.write_settings(seat, environment)
    settings, servers = seat.settings, seat.servers(environment)
    argv = [
        *launch.program_of(seat),
        *("--resume", session.id, "--skip-trust"),
        *(f"--policy={path}" for path in launch.write_policies(seat, environment)),
        *(f"--allowed-mcp-server-names={name}" for name in (launch.SERVER, *(one.name for one in servers))),
        *("--approval-mode", launch.MODES[settings.permissions]),
        *(("--model", settings.model) if settings.model else ()),
        *settings.args,
    ]
    home = Path(environment.get(launch.HOME) or environment.get("HOME") or Path.home())
    path = home / FOLDER / SETTINGS
    there = _read(path)
    if there is None:
        return Door(argv, seat.cwd, environment, hint=WITHOUT.format(path=path))
    copy = _Copy(home, seat.workspace.programs / "gemini-terminal")
    text = json.dumps({**there, "mcpServers": {launch.SERVER: _ours(), **{one.name: _entry(one) for one in servers}}})
    environment[launch.HOME] = str(copy.folder)
    return Door(argv, seat.cwd, environment, beside=partial(_furnished, copy, text))


def _read(path: Path) -> dict[str, Any] | None:
    """Give the settings; None where they are not to be read by us."""
    try:
        return as_object(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except (OSError, ValueError):
        return None


def _ours() -> dict[str, Any]:
    """Give our server: the program puts in what its environment holds, so that no secret is in a file."""
    headers = {"Authorization": f"Bearer ${{{MCP_TOKEN}}}"}
    return {"httpUrl": f"${{{MCP_URL}}}", "headers": headers, "timeout": RECV_MS, "trust": True}


def _entry(server: Server) -> Mapping[str, Any]:
    """Give a server of the agent's own; it writes `${NAME}` and `${NAME:-else}` as we do."""
    if server.url:
        return {"httpUrl": server.url, "headers": dict(server.headers)}
    return {"command": server.command, "args": list(server.args), "env": dict(server.env)}


@dataclass(frozen=True, slots=True)
class _Copy:
    """A home that is another one but for its settings."""

    home: Path
    folder: Path

    def make(self, settings: str) -> None:
        """Make it as that is now; a file that the program put into the place of a link gives way."""
        self.clear()
        below = self.folder / FOLDER
        below.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = self.home / FOLDER
        there.mkdir(mode=0o700, parents=True, exist_ok=True)
        for target in (*there.iterdir(), *(self.home / name for name in BESIDE)):
            if target.name != SETTINGS and target.exists():
                place = (below if target.parent == there else self.folder) / target.name
                if place.is_file():
                    place.unlink()
                if not place.exists():
                    place.symlink_to(target.absolute())
        write_secret(below / SETTINGS, settings)

    def clear(self) -> None:
        """Take away the links and the settings, in which there may be secrets of the user's."""
        for folder in (self.folder / FOLDER, self.folder):
            if folder.is_dir():
                for path in folder.iterdir():
                    if path.is_symlink() or path.name == SETTINGS:
                        path.unlink()


@asynccontextmanager
async def _furnished(copy: _Copy, settings: str) -> AsyncGenerator[Sequence[str]]:
    """Have the copy while the body runs.

    Raises:
        NotStartedError: it cannot be made.
    """
    try:
        copy.make(settings)
    except OSError as exc:
        raise NotStartedError("missing_program", f"{copy.folder} cannot be made: {exc.strerror}") from exc
    try:
        yield ()
    finally:
        copy.clear()
