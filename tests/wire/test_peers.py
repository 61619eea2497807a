"""Who is at the other end of a socket, as the kernel says."""

import os
import socket
import struct
import sys

import pytest

from wire import peers
from wire.peers import Peer, peer_of


@pytest.mark.skipif(sys.platform not in {"linux", "darwin"}, reason="other systems do not tell")
def test_the_kernel_tells_of_a_unix_socket() -> None:
    """[H01] T40: what a process says of itself does not count."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == Peer(os.getpid(), os.geteuid(), os.getegid())


def test_of_a_port_nothing_is_known() -> None:
    """Ours: a uid of another machine would say nothing."""
    with socket.socket(socket.AF_INET) as sock:
        assert peer_of(sock) is None


def test_a_mac_tells_in_its_own_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: LOCAL_PEERCRED gives a struct xucred, LOCAL_PEERPID a number; laid out here as its headers say."""

    class Mac:
        family = socket.AF_UNIX

        def getsockopt(self, level: int, option: int, size: int = 0) -> bytes | int:
            assert level == 0
            if option == 2:
                return 4711
            assert (option, size) == (1, 76)
            return struct.pack("=IIh2x16I", 0, 501, 2, 20, 80, *[0] * 14)

    monkeypatch.setattr(peers.sys, "platform", "darwin")
    assert peer_of(Mac()) == Peer(4711, 501, 20)  # pyright: ignore[reportArgumentType]  # what it needs of a socket


def test_elsewhere_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a pinned credential is then good from nowhere on the socket."""
    monkeypatch.setattr(peers.sys, "platform", "plan9")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) is None
