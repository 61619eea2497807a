"""The lock of a home: one broker at a time. It is held by the kernel and so ends with its process."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from broker.store.refusals import LocksBroken, NotWritable, SecondBroker
from wire.private_files import FILE_MODE


class HomeLock:
    """Held from `take` until `release`. The file stays: deleting it would let two brokers lock two files."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, path: Path) -> "HomeLock":
        """Lock the file at path and write our pid into it.

        Raises:
            SecondBroker: another process holds it. NotWritable: no such folder, or not ours to write.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as exc:
            raise NotWritable(
                f"cannot write to {path.parent} ({exc.strerror}): check that the folder exists, is yours, "
                "and is on a disk that can be written; `queenpost init` makes a home"
            ) from exc
        try:
            _lock(descriptor, path)
            with suppress(OSError):  # a full disk; the pid only helps to read the refusal
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Let the next broker in; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
        raise SecondBroker(
            f"another broker (pid {pid}) runs on this home; use that one, or end it with `queenpost down`"
        ) from None
    except OSError as exc:
        raise LocksBroken(
            f"the file system of {path.parent} has no locks ({exc.strerror}): choose a home on a local disk"
        ) from exc
