"""Who is at the other end of a unix socket, from the kernel: what a process says of itself does not count."""

import socket
import struct
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end, as it was when it connected."""

    pid: int
    uid: int
    gid: int


_UCRED = struct.Struct("3i")
"""Linux: pid, uid, gid."""

_SOL_LOCAL, _LOCAL_PEERCRED, _LOCAL_PEERPID = 0, 1, 2
_XUCRED = struct.Struct("=IIh2x16I")
"""macOS: version, uid, number of groups, groups."""


def peer_of(sock: socket.socket) -> Peer | None:
    """Ask the kernel; None where it does not tell, and for what is no unix socket."""
    if sock.family != socket.AF_UNIX:
        return None
    try:
        if sys.platform == "linux":
            return Peer(*_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))
        if sys.platform == "darwin":
            _, uid, _, gid, *_ = _XUCRED.unpack(sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size))
            return Peer(sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID), uid, gid)
    except OSError:  # it has ended already
        return None
    return None
