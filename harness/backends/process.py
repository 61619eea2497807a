"""A child in a process group of its own: prompt on stdin, output as events, and nothing left behind.

It knows no mail and no verdicts: what an exit status means is the backend's word (`Launch.judge`). The event
loop's own child support is not used: before Python 3.12.4 it reports an exit only once every pipe is closed,
and a grandchild that was left behind keeps them open.
"""

import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO

import anyio

from harness.backends.protocol import Began, Ended, Event, NotStartedError, Output, Stream
from harness.backends.tasks import ended_by
from wire.logs import get_logger

GRACE_S = 1.0
"""Between SIGTERM and SIGKILL. A freeze promises that nothing runs 2 s later: half a second to notice, one to end."""

DRAIN_S = 1.0
"""How long output is awaited that was written just before the exit."""

CHUNK_BYTES = 64 * 1024
QUEUED_EVENTS = 16
"""Then the child waits in its own write: output that nobody reads costs no memory."""

Judge = Callable[[int], Ended]
"""What an exit status means; a negative one is the signal that ended the program."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the program. Everybody on the machine can read `argv`: no secret is in it."""

    argv: list[str]
    cwd: Path
    env: Mapping[str, str]
    prompt: str | None
    """Written to stdin, which is then closed; None: it stays open for `Child.write`."""
    judge: Judge
    grace_s: float = GRACE_S


@asynccontextmanager
async def running(launch: Launch) -> AsyncGenerator["Child"]:
    """Run the program until it ends or the context is left; then its whole group is gone.

    Raises:
        NotStartedError: there is no such program or folder, or it may not be run.
    """
    child = Child(start(launch), launch)
    try:
        async with ended_by(child.end) as tasks:
            tasks.start_soon(child.serve)
            yield child
    finally:
        child.close()


def start(launch: Launch) -> Popen[bytes]:
    """Start the program as the leader of a new session; see `running` for what it raises."""
    try:
        process = Popen(
            launch.argv, cwd=launch.cwd, env=dict(launch.env), stdin=PIPE, stdout=PIPE, stderr=PIPE,
            bufsize=0, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as exc:
        raise NotStartedError("missing_program", _why_not(launch, exc)) from exc
    for pipe in _pipes(process):
        os.set_blocking(pipe.fileno(), False)
    return process


class Child:
    """A running program; see `harness.backends.protocol.RunningTurn`."""

    def __init__(self, process: Popen[bytes], launch: Launch) -> None:
        self._process = process
        self._launch = launch
        self._began = False
        self._writing = anyio.Lock()
        self._send, self._receive = anyio.create_memory_object_stream[Event](QUEUED_EVENTS)

    @property
    def pid(self) -> int:
        """The leader of the group."""
        return self._process.pid

    async def events(self) -> AsyncIterator[Event]:
        """Give output as it comes and at last how the program ended."""
        async for event in self._receive:
            yield event

    async def nudge(self, text: str) -> bool:
        """Not possible: stdin was closed behind the prompt."""
        return False

    async def interrupt(self) -> None:
        """Send the group what Ctrl-C would send."""
        signal_group(self.pid, signal.SIGINT)

    async def serve(self) -> None:
        """Move the prompt in and the output out until the program has ended."""
        async with self._send:
            async with anyio.create_task_group() as pipes:
                pipes.start_soon(self._feed)
                pipes.start_soon(self._pump, self._process.stdout, "stdout")
                pipes.start_soon(self._pump, self._process.stderr, "stderr")
                await exit_of(self._process)
                signal_group(self.pid, signal.SIGKILL)  # what it left behind
                pipes.cancel_scope.deadline = anyio.current_time() + DRAIN_S
            await self._send.send(self._launch.judge(self._process.wait()))

    async def _feed(self) -> None:
        pipe = self._process.stdin
        if pipe is None or self._launch.prompt is None:
            return
        with suppress(BrokenPipeError):  # it may answer without reading
            await _write_all(pipe, self._launch.prompt.encode(errors="replace"))
        pipe.close()

    async def write(self, data: bytes) -> bool:
        """Write to a stdin that was left open; False where the program does not read any more.

        Cancelled in the middle, the rest is not written: whoever cancels has to end the program.
        """
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return False
        async with self._writing:
            try:
                await _write_all(pipe, data)
            except (BrokenPipeError, anyio.ClosedResourceError, ValueError):
                return False
        return True

    async def _pump(self, pipe: IO[bytes] | None, stream: Stream) -> None:
        while pipe is not None and (data := await _read(pipe)):
            if stream == "stdout" and not self._began:
                self._began = True
                await self._send.send(Began())
            await self._send.send(Output(data, stream))

    async def end(self) -> None:
        """End the group: SIGTERM, then SIGKILL after the grace."""
        if self._process.poll() is None:
            signal_group(self.pid, signal.SIGTERM)
            await self._gone_within(self._launch.grace_s)
        signal_group(self.pid, signal.SIGKILL)
        if not await self._gone_within(GRACE_S):
            log.error("program_outlived_sigkill", pid=self.pid)

    async def _gone_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            while self._process.poll() is None:  # noqa: ASYNC110  # it must not depend on `serve`, which may be cancelled
                await anyio.sleep(0.01)
        return self._process.returncode is not None

    def close(self) -> None:
        """Give the pipes back."""
        self._send.close()
        self._receive.close()
        for pipe in _pipes(self._process):
            pipe.close()


def signal_group(leader: int, number: signal.Signals) -> None:
    """Signal a process group; none left is fine."""
    with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
        os.killpg(leader, number)


async def exit_of(process: Popen[bytes]) -> None:
    """Wait for the exit without reaping: the number of the group stays ours until it was signalled."""
    if not hasattr(os, "pidfd_open"):
        while process.poll() is None:  # noqa: ASYNC110  # macOS has nothing to wait on
            await anyio.sleep(0.02)
        return
    pidfd = os.pidfd_open(process.pid)
    try:
        await anyio.wait_readable(pidfd)
    finally:
        os.close(pidfd)


async def _write_all(pipe: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        await anyio.wait_writable(pipe.fileno())
        with suppress(BlockingIOError):
            rest = rest[os.write(pipe.fileno(), rest[:CHUNK_BYTES]) :]


async def _read(pipe: IO[bytes]) -> bytes:
    while True:
        await anyio.wait_readable(pipe.fileno())
        with suppress(BlockingIOError):
            return os.read(pipe.fileno(), CHUNK_BYTES)


def _pipes(process: Popen[bytes]) -> list[IO[bytes]]:
    return [pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe is not None]


def _why_not(launch: Launch, exc: OSError | ValueError) -> str:
    if not launch.cwd.is_dir():
        return f"its folder {launch.cwd} does not exist; set `workdir` to one that does"
    why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return f"{launch.argv[0]!r} cannot be started: {why}"
