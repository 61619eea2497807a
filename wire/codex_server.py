"""Codex in two halves: its own app server as a child, and its window, which a person has, connected to that.

The server starts a turn as soon as it is asked to, and holds a login that is in no file; the window can do neither. It
lasts for as long as somebody holds its lifeline. What is said to it is the business of who starts it.
"""

import os
import signal
import subprocess
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio

from wire.errors import QueenpostError
from wire.logs import get_logger
from wire.websocket import connected

ASKED_WITHIN_S = 10.0
"""How long its help may take."""
LISTENS_WITHIN_S = 15.0
LEFT_WITHIN_S = 3.0
"""How long it may take to end what it does."""

_GUARDED = """\
exec 3<&0
"$@" 3<&- </dev/null &
server=$!
{ read -r _ <&3; kill "$server"; } 2>/dev/null &
guard=$!
wait "$server"
code=$?
kill "$guard" 2>/dev/null
exit "$code"
"""
"""The server ends once nobody holds the other end of this stdin any more: neither we nor the window."""

log = get_logger("codex")


@dataclass(frozen=True, slots=True)
class Served:
    """A server that listens."""

    socket: Path
    lifeline: int
    """A descriptor: the server is there for as long as somebody has it open, the window for example."""

    @property
    def words(self) -> list[str]:
        """What makes a Codex its window."""
        return window_words(self.socket)


def window_words(socket: Path) -> list[str]:
    """Give what makes a Codex the window of the server there."""
    return ["--remote", f"unix://{socket}"]


async def comes_in_halves(program: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Say whether this Codex can be in two halves."""
    with anyio.move_on_after(ASKED_WITHIN_S), suppress(OSError):
        asked = await anyio.run_process(
            [*program, "--help"], env=environment, stdin=subprocess.DEVNULL, check=False, start_new_session=True
        )
        return b"--remote" in asked.stdout and b"unix://PATH" in asked.stdout
    return False


@asynccontextmanager
async def served(
    program: Sequence[str],
    words: Sequence[str],
    environment: Mapping[str, str],
    socket: Path,
    *,
    cwd: Path | None = None,
) -> AsyncGenerator[Served | None]:
    """Have a server with these settings while the body runs; None where it does not come to listen.

    `socket` has to be in a folder that is nobody else's: who can reach it has the login and the session.
    """
    reader, lifeline = os.pipe()
    command = ["/bin/sh", "-c", _GUARDED, "sh", *program, "app-server", "--listen", f"unix://{socket}", *words]
    try:
        process = subprocess.Popen(  # noqa: ASYNC220  # it waits for nothing
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the window
        )
    except OSError as exc:
        os.close(lifeline)
        log.warning("codex_not_served", reason=exc.strerror)
        yield None
        return
    finally:
        os.close(reader)
    try:
        yield Served(socket, lifeline) if await _listens(process, socket) else None
    finally:
        os.close(lifeline)
        with anyio.CancelScope(shield=True):
            await _end(process)
        socket.unlink(missing_ok=True)


async def _listens(process: subprocess.Popen[bytes], socket: Path) -> bool:
    with anyio.move_on_after(LISTENS_WITHIN_S):
        while process.poll() is None:
            if socket.exists():
                with suppress(QueenpostError):
                    async with connected(socket):
                        return True
            await anyio.sleep(0.02)
    log.warning("codex_not_served", code=process.poll())
    return False


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end; a turn that still runs is not waited for."""
    with anyio.move_on_after(LEFT_WITHIN_S):
        while process.poll() is None:  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
