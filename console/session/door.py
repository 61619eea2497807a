"""Where the hooks of one session come: they say what happens in it, and one of them waits to be let out with news.

A unix socket for this user only; its path is noted in the home, where `mcp_tools/hooks/waiting.py` looks. It knows no
broker and does not decide when to ring: `console.session.waking` does.
"""

import json
import os
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
from anyio.abc import SocketStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream

from wire.errors import Invalid
from wire.home import Home, has_room
from wire.private_files import write_secret

SENTENCE_BYTES = 4096
SPOKEN_WITHIN_S = 5.0
_GONE = (anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError)


@dataclass(frozen=True, slots=True)
class Said:
    """What a hook says of its session."""

    event: str
    session: str
    source: str
    """Of a session's start: startup, resume, clear or compact."""
    again: bool
    """Of a turn's end: the turn went on once already because of a hook."""
    waits: bool


def read_said(line: bytes) -> Said:
    """Read what a hook says.

    Raises:
        Invalid: that is not how our hooks speak.
    """
    try:
        fields = cast("dict[str, Any]", json.loads(line))
        texts = (str(fields[name]) for name in ("event", "session", "source"))
        return Said(*texts, again=fields["again"] is True, waits=fields["waits"] is True)
    except (ValueError, KeyError, TypeError) as exc:
        raise Invalid("a hook said something else than ours do") from exc


@dataclass(eq=False, slots=True)
class _Hook:
    """One that waits."""

    over: anyio.Event = field(default_factory=anyio.Event)
    count: int = 0
    """What it is let out with; 0: with nothing."""


class Door:
    """Serves the hooks of one session; at most one of them waits."""

    def __init__(self, path: Path, heard: Callable[[Said], None]) -> None:
        self._path = path
        self._heard = heard
        """Called with all that is said; also once the one who said it waits."""
        self._waiting: _Hook | None = None

    @property
    def is_ready(self) -> bool:
        """Say whether somebody waits."""
        return self._waiting is not None

    async def ring(self, count: int) -> bool:
        """Let the one who waits out with news of so many messages; False where nobody waits any more."""
        if self._waiting is None:
            return False
        self._let_out(count)
        return True

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; whoever waits then is let out with nothing."""
        async with await anyio.create_unix_listener(self._path, mode=0o600) as listener:
            task_status.started()
            await listener.serve(self._meet)

    def _let_out(self, count: int) -> None:
        if self._waiting is not None:
            self._waiting.count = count
            self._waiting.over.set()
            self._waiting = None

    async def _meet(self, stream: SocketStream) -> None:
        async with stream:
            with suppress(*_GONE, Invalid, TimeoutError, anyio.DelimiterNotFound):
                with anyio.fail_after(SPOKEN_WITHIN_S):
                    said = read_said(await BufferedByteReceiveStream(stream).receive_until(b"\n", SENTENCE_BYTES))
                if said.waits:
                    await self._keep(stream, said)
                else:
                    self._heard(said)

    async def _keep(self, stream: SocketStream, said: Said) -> None:
        """Let a hook wait in the place of the one before: the client may not listen to that one any more."""
        self._let_out(0)
        hook = self._waiting = _Hook()
        async with anyio.create_task_group() as group:
            group.start_soon(self._notice_end, stream, hook)
            self._heard(said)
            await hook.over.wait()
            group.cancel_scope.cancel()
        if hook.count:
            await stream.send(f"{hook.count}\n".encode())

    async def _notice_end(self, stream: SocketStream, hook: _Hook) -> None:
        with suppress(*_GONE):
            await stream.receive()
        if self._waiting is hook:
            self._waiting = None
        hook.over.set()


@contextmanager
def door_path(home: Home, agent: str, env: Mapping[str, str]) -> Generator[Path]:
    """Give the path of the door while the body runs, and note it for the hooks.

    Raises:
        Invalid: no folder has a path that is short enough.
    """
    note = home.run / f"door-{agent}"
    with _short_folder(home, env) as folder:
        path = folder / "door.sock"
        write_secret(note, str(path))
        try:
            yield path
        finally:
            note.unlink(missing_ok=True)
            path.unlink(missing_ok=True)


@contextmanager
def _short_folder(home: Home, env: Mapping[str, str]) -> Generator[Path]:
    """Make a folder for this user only. Not in the home where the path of a socket in it would be too long."""
    for base in (str(home.run), env.get("XDG_RUNTIME_DIR"), env.get("TMPDIR"), "/tmp"):  # noqa: S108  # mkdtemp is safe
        if base and os.path.isdir(base) and has_room(Path(base, "d-12345678", "door.sock")):
            with tempfile.TemporaryDirectory(prefix="d-", dir=base, ignore_cleanup_errors=True) as folder:
                yield Path(folder)
                return
    raise Invalid(f"{home.run} is too long for a socket; use a shorter home")
