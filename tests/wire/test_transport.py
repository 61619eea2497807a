"""Lines over a socket: splitting, bounds, queues, endings."""

import os
import socket
import sys
from asyncio import BaseTransport
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.transport import Transport, adopt

pytestmark = pytest.mark.anyio


@dataclass
class Ear:
    """Keeps what it is told."""

    lines: list[bytes] = field(default_factory=list[bytes])
    overflows: int = 0
    endings: list[Exception | None] = field(default_factory=list[Exception | None])
    wanted: int = 1
    heard: anyio.Event = field(default_factory=anyio.Event)
    closed: anyio.Event = field(default_factory=anyio.Event)

    def on_line(self, line: bytes) -> None:
        self.lines.append(line)
        if len(self.lines) >= self.wanted:
            self.heard.set()

    def on_overflow(self) -> None:
        self.overflows += 1

    def on_closed(self, exc: Exception | None) -> None:
        self.endings.append(exc)
        self.closed.set()


@asynccontextmanager
async def connected(ear: Ear) -> AsyncGenerator[tuple[Transport, socket.socket]]:
    """A transport and the bare socket at its other end."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with far, anyio.fail_after(15):
        transport = await adopt(near, ear)
        try:
            yield transport, far
        finally:
            transport.abort()
            await ear.closed.wait()


async def read(far: socket.socket, size: int) -> bytes:
    """Read so many bytes, fewer only at the end."""
    data = b""
    while len(data) < size:
        await anyio.wait_readable(far)
        piece = far.recv(size - len(data))
        if not piece:
            return data
        data += piece
    return data


async def test_a_line_may_come_in_pieces_and_many_in_one_piece() -> None:
    """Ours: frames do not depend on how the kernel cuts the stream."""
    ear = Ear(wanted=4)
    async with connected(ear) as (_, far):
        for piece in (b'{"a"', b":1}\n\nx\ny", b"z\n"):
            far.sendall(piece)
            await anyio.lowlevel.checkpoint()
        await ear.heard.wait()
    assert ear.lines == [b'{"a":1}', b"", b"x", b"yz"]


LINES = st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")))


@settings(deadline=None)
@given(lines=LINES, sizes=st.lists(st.integers(1, 20), min_size=1))
async def test_any_cut_of_a_stream_gives_the_same_lines(lines: list[bytes], sizes: list[int]) -> None:
    """Ours: as above, for every cut."""
    ear = Ear()
    transport = Transport(lambda _: ear)
    transport.connection_made(BaseTransport())
    stream = b"".join(line + b"\n" for line in lines)
    for size in cycle(sizes):
        if not stream:
            break
        transport.data_received(stream[:size])
        stream = stream[size:]
    assert ear.lines == lines


async def test_the_beginning_of_a_line_is_no_line() -> None:
    """Ours: a peer that died while writing said nothing."""
    ear = Ear()
    async with connected(ear) as (_, far):
        far.sendall(b"whole\nhal")
        far.shutdown(socket.SHUT_WR)
        await ear.closed.wait()
    assert ear.lines == [b"whole"]
    assert ear.endings == [None]


@pytest.mark.parametrize("flood", [b"x" * 11 + b"\n", b"x" * 11, b"ok\n" + b"x" * 11])
async def test_a_line_over_the_bound_ends_the_connection(flood: bytes) -> None:
    """DESIGN 4: frames are bounded, with or without their end; lines before it count."""
    ear = Ear()
    async with connected(ear) as (transport, far):
        transport.max_frame_bytes = 10
        far.sendall(flood)
        await ear.closed.wait()
        assert await read(far, 1) == b""
    assert ear.overflows == 1
    assert ear.lines == [line for line in flood.split(b"\n")[:-1] if len(line) <= 10]


async def test_a_line_as_long_as_the_bound_is_taken() -> None:
    """DESIGN 4: the bound is without the newline."""
    ear = Ear()
    async with connected(ear) as (transport, far):
        transport.max_frame_bytes = 10
        far.sendall(b"x" * 10 + b"\n")
        await ear.heard.wait()
    assert ear.lines == [b"x" * 10]


async def test_the_owner_may_raise_the_bound_in_the_middle_of_a_delivery() -> None:
    """DESIGN 4: 4 KiB until the hello was read, 1 MiB for what may come right behind it."""

    class Owner(Ear):
        def on_line(self, line: bytes) -> None:
            transport.max_frame_bytes = 100
            super().on_line(line)

    ear = Owner(wanted=2)
    async with connected(ear) as (transport, far):
        transport.max_frame_bytes = 10
        far.sendall(b"hello\n" + b"x" * 50 + b"\n")
        await ear.heard.wait()
    assert ear.overflows == 0


async def test_what_is_written_arrives_in_order() -> None:
    """Ours: also when it does not fit into the kernel's buffer."""
    ear = Ear()
    async with connected(ear) as (transport, far):
        for number in range(40):
            transport.write(bytes([number]) * 50_000)
        data = await read(far, 40 * 50_000)
    assert data == b"".join(bytes([number]) * 50_000 for number in range(40))


async def test_the_queue_is_known_while_the_other_side_does_not_read() -> None:
    """DESIGN 4: the owner of a connection bounds what waits on it."""
    ear = Ear()
    async with connected(ear) as (transport, far):
        assert transport.queued_bytes == 0
        transport.write(b"x" * 3_000_000)
        assert transport.queued_bytes == 3_000_000
        await anyio.lowlevel.checkpoint()
        assert 0 < transport.queued_bytes < 3_000_000
        await read(far, 3_000_000)
        while transport.queued_bytes:
            await anyio.lowlevel.checkpoint()


async def test_writes_of_one_turn_of_the_loop_go_out_together() -> None:
    """Ours: one system call for a batch of answers."""
    ear = Ear()
    async with connected(ear) as (transport, far):
        transport.write(b"a\n")
        transport.write(b"b\n")
        with pytest.raises(BlockingIOError):
            far.recv(10)
        await anyio.wait_readable(far)
        assert far.recv(10) == b"a\nb\n"


async def test_answers_written_during_delivery_need_no_further_turn() -> None:
    """Ours: a request that is answered at once is answered within the same call."""

    class Echo(Ear):
        def on_line(self, line: bytes) -> None:
            transport.write(line.upper() + b"\n")
            super().on_line(line)

    ear = Echo(wanted=2)
    async with connected(ear) as (transport, far):
        transport.data_received(b"a\nb\n")
        assert far.recv(10) == b"A\nB\n"


async def test_close_sends_what_is_queued() -> None:
    """Ours: the last words, such as a refusal, arrive."""
    ear = Ear()
    async with connected(ear) as (transport, far):
        transport.write(b"last words\n")
        transport.close()
        transport.write(b"too late\n")
        assert await read(far, 100) == b"last words\n"
        await ear.closed.wait()
    assert ear.endings == [None]


async def test_abort_ends_at_once() -> None:
    """Ours: a peer that does not read must not hold a closed connection open."""
    ear = Ear()
    async with connected(ear) as (transport, _):
        transport.write(b"x" * 5_000_000)
        await anyio.lowlevel.checkpoint()
        transport.abort()
        await ear.closed.wait()
        assert transport.closing
        assert len(ear.endings) == 1


async def test_lines_after_a_close_are_not_delivered() -> None:
    """Ours: an owner that has closed hears no more requests, also not those in the same piece."""

    class Once(Ear):
        def on_line(self, line: bytes) -> None:
            super().on_line(line)
            transport.close()

    ear = Once()
    async with connected(ear) as (transport, _):
        transport.data_received(b"a\nb\n")
    assert ear.lines == [b"a"]


async def test_pause_holds_back_lines_that_have_come_already() -> None:
    """Ours: an owner that pauses is left alone from that line on."""

    class Pausing(Ear):
        def on_line(self, line: bytes) -> None:
            super().on_line(line)
            if len(self.lines) == 1:
                transport.pause()

    ear = Pausing(wanted=3)
    async with connected(ear) as (transport, far):
        far.sendall(b"a\nb\n")
        while not ear.lines:
            await anyio.lowlevel.checkpoint()
        far.sendall(b"c\n")
        await anyio.lowlevel.checkpoint()
        assert ear.lines == [b"a"]
        transport.resume()
        await ear.heard.wait()
    assert ear.lines == [b"a", b"b", b"c"]


@pytest.mark.skipif(sys.platform != "linux", reason="SO_PEERCRED is Linux's")
async def test_the_kernel_says_who_is_at_the_other_end() -> None:
    """[H01] Ours: a credential may be pinned to a uid."""
    ear = Ear()
    async with connected(ear) as (transport, _):
        peer = transport.peer
        assert peer is not None
        assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())
