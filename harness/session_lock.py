"""`session.lock`: whether an agent's session is its harness' or open at a terminal. Never both.

The kernel keeps the lock, so it is let go however its holder ends. A harness shares it with others: one that hangs
must not keep the next one from its agents. A terminal has it alone, and says in the file which program it runs.
"""

import fcntl
import json
import os
import signal
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.processes import identity
from wire.logs import get_logger

NOTE_BYTES = 4096

log = get_logger("harness")


@dataclass(frozen=True, slots=True)
class Guest:
    """Who has the session at a terminal."""

    pid: int
    """Of ours, which holds the lock."""
    program: int | None = None
    """The agent's program, which it has started."""
    process: str | None = None
    """`harness.processes.identity` of that."""


@contextmanager
def shared(path: Path) -> Generator[bool]:
    """Keep terminals out, as a harness does; False: one has the session.

    Where a file system knows no locks, nobody can have it at a terminal either.
    """
    with ExitStack() as stack:
        try:
            free = _lock(stack.enter_context(_opened(path)), fcntl.LOCK_SH)
        except OSError as exc:
            log.warning("session_not_locked", reason=str(exc))
            free = True
        yield free


def is_at_terminal(path: Path) -> bool:
    """Say whether the session is open at a terminal now."""
    if not path.exists():
        return False
    with shared(path) as free:
        return not free


class Alone:
    """The lock, for a terminal. Everything that is done with it is harmless when repeated."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def take(self) -> bool:
        """Try to get the session for oneself; False while somebody else has it.

        What the terminal before left behind is ended first.
        """
        if not _lock(self._descriptor, fcntl.LOCK_EX):
            return False
        end_leftover(self._path)
        self.note(None)
        return True

    def note(self, program: int | None) -> None:
        """Say which program runs in it, for whoever has to end it after our death."""
        guest = Guest(os.getpid(), program, None if program is None else identity(program))
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(asdict(guest)).encode(), 0)

    def leave(self) -> None:
        """Let it go: nothing runs in it any more."""
        os.ftruncate(self._descriptor, 0)
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)


@contextmanager
def alone(path: Path) -> Generator[Alone]:
    """Open the lock for a terminal; what was taken is let go behind it."""
    with _opened(path) as descriptor:
        yield Alone(path, descriptor)


def guest_of(path: Path) -> Guest | None:
    """Say who noted themselves last; None: nobody, or in a hurry."""
    try:
        with path.open("rb") as file:
            return Guest(**json.loads(file.read(NOTE_BYTES)))
    except (OSError, ValueError, TypeError):
        return None


def end_leftover(path: Path) -> int | None:
    """Kill the program that a terminal left behind when it was killed itself. Only while nobody has the session."""
    guest = guest_of(path)
    if guest is None or guest.program is None or guest.process is None or identity(guest.program) != guest.process:
        return None
    log.warning("leftover_killed", pid=guest.program)
    with suppress(ProcessLookupError):
        os.kill(guest.program, signal.SIGKILL)
    return guest.program


@contextmanager
def _opened(path: Path) -> Generator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
