"""A program at a pseudo terminal of its own: started, read, written to, and ended with all that it started.

It is deliberately *not* pexpect (docs/adr/0008-dependencies.md): that runs Python between fork and exec, in a process
that has threads, and waits where the event loop would have to.
"""

import os
import signal
import sys
import termios
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import Popen, run

import anyio

from harness.backends.process import CHUNK_BYTES, GRACE_S, Launch, exit_of, signal_group
from harness.backends.protocol import NotStartedError
from harness.processes import PROC, PS_TIMEOUT_S
from wire.logs import get_logger

LEADER = Path(__file__).with_name("leader.py")
READ_BYTES = 4096
"""At once: drawing so much takes a few milliseconds, and others want to run too."""

log = get_logger("harness")


class Terminal:
    """One program and its terminal."""

    def __init__(self, process: Popen[bytes], master: int, launch: Launch) -> None:
        self._process = process
        self._master = master
        self._launch = launch
        self._writing = anyio.Lock()
        self._closed = False

    @property
    def pid(self) -> int:
        """The leader of the session, and of its own process group."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """How it exited; None while it runs."""
        return self._process.poll()

    async def read(self) -> bytes:
        """Give what it wrote; nothing once nobody has the terminal open any more."""
        while True:
            try:
                await anyio.wait_readable(self._master)
                return os.read(self._master, READ_BYTES)
            except BlockingIOError:
                continue
            except (OSError, anyio.ClosedResourceError):  # Linux says EIO where others give no bytes
                return b""

    async def write(self, text: str) -> bool:
        """Type; False where it does not read any more. What is typed at once is never mixed with anything else."""
        rest = memoryview(text.encode(errors="replace"))
        async with self._writing:
            try:
                while rest and not self._closed:
                    await anyio.wait_writable(self._master)
                    with suppress(BlockingIOError):
                        rest = rest[os.write(self._master, rest[:CHUNK_BYTES]) :]
            except (OSError, anyio.ClosedResourceError):
                return False
        return not rest

    async def exited(self) -> None:
        """Wait for the exit of the program itself; what it left behind may still run."""
        await exit_of(self._process)

    async def end(self) -> None:
        """End all that runs at this terminal: SIGTERM, then SIGKILL after the grace."""
        if self._process.poll() is None:
            signal_group(self.pid, signal.SIGTERM)
            await self.gone_within(self._launch.grace_s)
        for pid in session_members(self.pid):  # a shell gives each of its jobs a group of its own
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        signal_group(self.pid, signal.SIGKILL)
        if not await self.gone_within(GRACE_S):
            log.error("program_outlived_sigkill", pid=self.pid)

    async def gone_within(self, seconds: float) -> bool:
        """Wait so long for its exit; says whether it has."""
        with anyio.move_on_after(seconds):
            while self._process.poll() is None:  # noqa: ASYNC110  # it must not depend on a task that may be cancelled
                await anyio.sleep(0.01)
        return self._process.returncode is not None

    def close(self) -> None:
        """Give the terminal back; whoever has it open reads its end."""
        self._closed = True
        anyio.notify_closing(self._master)  # who waits for it would wait for whatever gets its number next
        os.close(self._master)


@asynccontextmanager
async def at_terminal(launch: Launch, columns: int, rows: int) -> AsyncGenerator[Terminal]:
    """Run a program at a terminal until the context is left; then nothing of its session is left.

    Raises:
        NotStartedError: there is no such folder, or no terminal to be had.
    """
    terminal = start(launch, columns, rows)
    try:
        yield terminal
    finally:
        with anyio.CancelScope(shield=True):
            await terminal.end()
        terminal.close()


def start(launch: Launch, columns: int, rows: int) -> Terminal:
    """Start the program as the leader of a session with a terminal; see `at_terminal` for what it raises."""
    try:
        master, slave = os.openpty()
    except OSError as exc:
        raise NotStartedError("missing_program", f"no pseudo terminal is to be had: {exc.strerror}") from exc
    try:
        termios.tcsetwinsize(slave, (rows, columns))
        argv = [sys.executable, "-I", "-S", str(LEADER), *launch.argv]
        process = Popen(
            argv, cwd=launch.cwd, env=dict(launch.env), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
    except (OSError, ValueError) as exc:
        os.close(master)
        why = f"{launch.argv[0]!r} cannot be started in {launch.cwd}: {exc}; set `workdir` to a folder that exists"
        raise NotStartedError("missing_program", why) from exc
    finally:
        os.close(slave)
    os.set_blocking(master, False)
    return Terminal(process, master, launch)


def session_members(leader: int) -> list[int]:
    """Give the processes of a session."""
    return [pid for pid in _processes() if _session_of(pid) == leader]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _processes() -> Iterator[int]:
    if PROC.joinpath("self", "stat").exists():
        yield from (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
        return
    with suppress(OSError, ValueError):
        listed = run(["ps", "-axo", "pid="], capture_output=True, text=True, timeout=PS_TIMEOUT_S, check=False)
        yield from (int(pid) for pid in listed.stdout.split())
