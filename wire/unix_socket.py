"""The unix socket of a fleet: listening with a private socket, connecting with patience.

What goes over a connection is the business of `wire.transport`; where the socket lies, of `wire.home`.
"""

import errno
import os
import random
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from wire.backoff import Backoff
from wire.errors import Conflict, Denied, Invalid, Unavailable
from wire.home import MAX_SOCKET_PATH_BYTES, has_room
from wire.private_files import check_private
from wire.transport import BACKLOG, Accept, Receiver, Transport, adopt, serve

OWN_MODE = 0o600
GROUP_MODE = 0o660
_BUSY_S = 5.0
"""How long a connect is tried again while the backlog is full."""


class Listener:
    """A unix socket on which connections are accepted until it is closed."""

    def __init__(self, path: Path, stop: Callable[[], None]) -> None:
        self.path = path
        self._stop = stop
        self._inode = path.lstat().st_ino

    def close(self) -> None:
        """Accept no more; connections live on. Removes the socket, if it is still this one."""
        self._stop()
        with suppress(FileNotFoundError):
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()

    async def __aenter__(self) -> Self:
        """Give itself; it accepts already."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """See `close`."""
        self.close()


async def listen_unix(path: Path, accept: Accept, *, group: int | None = None) -> Listener:
    """Accept connections at `path`, taking the place of a socket whose broker is dead.

    It is for its owner only (0600), with a group id for that group too (0660). Two brokers are kept
    apart by the lock of their home, not here: the caller holds it.

    Raises:
        Conflict: somebody listens there, or what lies there is no socket.
        Denied: others may write into the folder of the socket.
        Invalid: the path is too long for a socket.
        Unavailable: the folder takes no socket.
    """
    check_private(path.parent)
    _check_length(path)
    _refuse_if_taken(path)
    sock = _bound(path, group)
    return Listener(path, await serve(sock, accept))


def _check_length(path: Path) -> None:
    if not has_room(path):
        raise Invalid(f"{path} is too long for a socket ({MAX_SOCKET_PATH_BYTES} bytes); use a shorter home")


def _refuse_if_taken(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise Conflict(f"{path} is in the way and no socket; move it elsewhere")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        if probe.connect_ex(str(path)) in (errno.ECONNREFUSED, errno.ENOENT):
            return
    raise Conflict(f"another broker listens at {path}")


def _bound(path: Path, group: int | None) -> socket.socket:
    """Bind under another name and rename: whoever sees the socket finds it listening, with its right mode."""
    temporary = path.with_name(f".{os.getpid():x}")
    temporary.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(temporary))
        if group is not None:
            os.chown(temporary, -1, group)
        temporary.chmod(OWN_MODE if group is None else GROUP_MODE)
        sock.listen(BACKLOG)
        temporary.rename(path)
    except BaseException as exc:
        sock.close()
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise Unavailable(f"cannot listen at {path}: {exc.strerror}; check the folder's disk and modes") from exc
        raise
    return sock


async def connect_unix(path: Path, receiver: Receiver, *, rng: random.Random | None = None) -> Transport:
    """Connect to the socket of a broker. A full backlog is tried again for five seconds.

    Raises:
        Unavailable: nobody listens there.
        Denied: the socket is not for this user.
    """
    return await adopt(await _connected(path, Backoff(0.005, 0.1, rng=rng)), receiver)


async def _connected(path: Path, backoff: Backoff) -> socket.socket:
    """Connect by hand: asyncio takes EAGAIN, the answer of a full backlog, for a connect under way."""
    with anyio.move_on_after(_BUSY_S):
        while True:
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            try:
                sock.connect(str(path))
            except BlockingIOError:
                sock.close()
                await anyio.sleep(backoff.next_s())
            except OSError as exc:
                sock.close()
                raise _refusal(path, exc) from exc
            else:
                return sock
    raise Unavailable(f"the broker at {path} is too busy to accept a connection; try again")


def _refusal(path: Path, exc: OSError) -> Denied | Unavailable:
    if isinstance(exc, PermissionError):
        return Denied(f"may not open {path}: the fleet belongs to another user")
    # A broker whose socket has no room here listens elsewhere and notes where; without a note there is none.
    if isinstance(exc, FileNotFoundError | ConnectionRefusedError) or not has_room(path):
        return Unavailable(f"no broker listens at {path}; start it with `queenpost up`")
    return Unavailable(f"cannot connect to {path}: {exc}")
