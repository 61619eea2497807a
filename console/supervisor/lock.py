"""`run/up.lock`: one supervisor per home. The file holds the pid of whoever holds the lock.

The lock is the kernel's (flock): it ends with its process, so a file that was left behind locks nothing.
"""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class Held(Exception):
    """Another supervisor runs on this home; `pid` is None where it could not be read."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"another `queenpost up` runs on this home (pid {pid})")
        self.pid = pid


@contextmanager
def hold(path: Path) -> Generator[None]:
    """Hold the lock while the body runs.

    Raises:
        Held: somebody else does.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Closed on exec: a child that inherited it would hold the lock after our death.
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(file, path)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
        # Emptied, not removed: a waiter may already have the file open.
        os.ftruncate(file, 0)
    finally:
        os.close(file)


def _lock(file: int, path: Path) -> None:
    for _ in range(10):
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if (pid := _pid_in(path)) is not None:
                raise Held(pid) from None
            # An empty file is locked for an instant by whoever asks for its holder.
            time.sleep(0.05)
    raise Held(None)


def holder(path: Path) -> int | None:
    """Give the pid of the supervisor that holds the lock now, None where nobody does."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(path)
    finally:
        os.close(file)
    return None


def _pid_in(path: Path) -> int | None:
    text = path.read_text(encoding="ascii", errors="replace").strip()
    return int(text) if text.isdigit() else None
