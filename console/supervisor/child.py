"""One running program: start it, hear its ready line, keep its last words, stop it with its whole group.

It does not decide whether to start a program again: `console.supervisor.keeper` does. The event loop's own
child support is not used: before Python 3.12.4 it reports an exit only once every pipe is closed, and a
grandchild that was left behind keeps them open.
"""

import json
import os
import signal
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from subprocess import DEVNULL, PIPE, Popen
from typing import IO, Any, cast

import anyio

from wire.processes import kill_group

LAST_WORDS_LINES = 20
CHUNK_BYTES = 64 * 1024
"""A line that is longer is cut: a child must not fill our memory."""
DRAIN_S = 1.0
"""How long output is awaited that was written just before the end."""
POLL_S = 0.02


class Child:
    """A program in a process group of its own. Made by `running`, which also ends it."""

    def __init__(self, process: Popen[bytes]) -> None:
        self._process = process
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS_LINES)
        self._ready_or_gone = anyio.Event()
        self._gone = anyio.Event()
        self.ready: Mapping[str, Any] | None = None
        """What the ready line said; None until it came."""

    @property
    def pid(self) -> int:
        """The process id, which is the id of its group too."""
        return self._process.pid

    @property
    def last_words(self) -> list[str]:
        """The last lines of its stderr."""
        return list(self._last_words)

    async def becomes_ready(self) -> bool:
        """Wait for the ready line; False where the program ended without one."""
        await self._ready_or_gone.wait()
        return self.ready is not None

    async def ends(self) -> int:
        """Wait for the end and give the exit code, negative for a signal. Its group is gone then too."""
        await self._gone.wait()
        return self._process.returncode

    async def serve(self) -> None:
        """Listen until the program has ended, cancelled or not: `stop` needs to hear of the end."""
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as pipes:
                pipes.start_soon(self._hear_ready)
                pipes.start_soon(self._hear_last_words)
                await _exit_of(self._process)
                kill_group(self.pid)  # what it left behind
                pipes.cancel_scope.deadline = anyio.current_time() + DRAIN_S
            self._process.wait()
            self._gone.set()
            self._ready_or_gone.set()

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal, and not its group; harmless when it is gone."""
        if not self._gone.is_set():
            self._process.send_signal(number)

    async def stop(self, grace_s: float) -> None:
        """Ask it to end, and after `grace_s` kill its group. Returns when it is gone."""
        if not self._gone.is_set():
            self._process.send_signal(signal.SIGTERM)
            with anyio.move_on_after(grace_s):
                await self._gone.wait()
        kill_group(self.pid)
        await self._gone.wait()

    def close(self) -> None:
        """Give the pipes back."""
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    async def _hear_ready(self) -> None:
        # It reads on after the ready line, so that the program never blocks on a full pipe.
        async for line in _lines(self._process.stdout):
            if self.ready is None and (said := _ready(line)) is not None:
                self.ready = said
                self._ready_or_gone.set()

    async def _hear_last_words(self) -> None:
        async for line in _lines(self._process.stderr):
            if line.strip():
                self._last_words.append(line.rstrip())


@asynccontextmanager
async def running(command: Sequence[str], *, env: Mapping[str, str], grace_s: float) -> AsyncGenerator[Child]:
    """Run a program for as long as the body; at the end it is stopped, its group too, whatever happened.

    A group of its own keeps a Ctrl-C at the terminal from reaching it: the order of stopping is ours.
    """
    child = Child(_start(command, env))
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child.serve)
            try:
                yield child
            finally:
                with anyio.CancelScope(shield=True):
                    await child.stop(grace_s)
    finally:
        child.close()


def _start(command: Sequence[str], env: Mapping[str, str]) -> Popen[bytes]:
    process = Popen(
        command,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        bufsize=0,
        env={**os.environ, **env},
        start_new_session=True,
    )
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
    return process


async def _exit_of(process: Popen[bytes]) -> None:
    """Wait for the exit without reaping: the number of the group stays ours until it was signalled."""
    if not hasattr(os, "pidfd_open"):
        while process.poll() is None:  # noqa: ASYNC110  # macOS has nothing to wait on
            await anyio.sleep(POLL_S)
        return
    pidfd = os.pidfd_open(process.pid)
    try:
        await anyio.wait_readable(pidfd)
    finally:
        os.close(pidfd)


async def _lines(pipe: IO[bytes] | None) -> AsyncIterator[str]:
    rest = b""
    while pipe is not None and (chunk := await _read(pipe)):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        rest = rest[-CHUNK_BYTES:]
    if rest:
        yield rest.decode(errors="replace")


async def _read(pipe: IO[bytes]) -> bytes:
    while True:
        await anyio.wait_readable(pipe.fileno())
        with suppress(BlockingIOError):
            return os.read(pipe.fileno(), CHUNK_BYTES)


def _ready(line: str) -> Mapping[str, Any] | None:
    try:
        said: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    fields = cast("dict[str, Any]", said)
    return fields if fields.get("event") == "ready" else None
