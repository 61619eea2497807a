"""A WebSocket over a unix socket: text both ways, of any length; whatever else comes ends it, and says so."""

import socket
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream

from tests.fakes.websocket import Peer, listening
from wire.errors import Unavailable
from wire.websocket import MAX_BYTES, connected

pytestmark = pytest.mark.anyio

PATIENCE_S = 30


@pytest.fixture
def path() -> Generator[Path]:
    """A socket whose path is short enough."""
    with tempfile.TemporaryDirectory(prefix="qp-", dir="/tmp") as folder:
        yield Path(folder, "s")


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 200_000, MAX_BYTES // 2])
async def test_text_of_any_length_goes_both_ways(path: Path, length: int) -> None:
    """RFC 6455, 5.2: three ways to say how long a frame is."""

    async def echo(peer: Peer) -> None:
        await peer.send(await peer.recv())

    with anyio.fail_after(PATIENCE_S):
        async with listening(path, echo), connected(path) as connection:
            await connection.send("é" * length)
            assert await connection.receive() == "é" * length


async def test_pieces_are_put_together_and_a_ping_between_them_is_answered(path: Path) -> None:
    """RFC 6455, 5.4 and 5.5: a control frame may stand in the middle of a message."""
    answered: list[float] = []

    async def pieces(peer: Peer) -> AsyncGenerator[str]:
        yield "one, "
        answered.append(await (await peer.ping("are you there?")))
        await peer.pong("nothing")
        yield "two, "
        yield "three"

    async def piecemeal(peer: Peer) -> None:
        await peer.send(pieces(peer))
        await peer.wait_closed()

    with anyio.fail_after(PATIENCE_S):
        async with listening(path, piecemeal), connected(path) as connection:
            assert await connection.receive() == "one, two, three"
    assert len(answered) == 1


async def farewell(peer: Peer) -> None:
    """Leave as one should."""
    await peer.close()


async def half_a_farewell(peer: Peer) -> None:
    """Say farewell, do not leave, and do not see who does."""
    peer.transport.pause_reading()
    peer.transport.write(b"\x88\x02\x03\xe8")
    await peer.wait_closed()


async def hang_up(peer: Peer) -> None:
    """Leave without a word."""
    peer.transport.abort()


async def flood(peer: Peer) -> None:
    """Announce more than anybody would read, and wait with it."""
    peer.transport.pause_reading()
    peer.transport.write(b"\x81\x7f" + (MAX_BYTES + 1).to_bytes(8, "big"))
    await peer.wait_closed()


async def trickle(peer: Peer) -> None:
    """Say as much in two pieces."""
    await peer.send(["x" * (MAX_BYTES // 2 + 1)] * 2)
    await peer.wait_closed()


async def binary(peer: Peer) -> None:
    """Say what is not meant as text."""
    await peer.send(b"\x00")
    await peer.wait_closed()


async def no_text(peer: Peer) -> None:
    """Say as text what is none."""
    await peer.send(b"\xff", text=True)
    await peer.wait_closed()


async def nonsense(peer: Peer) -> None:
    """Say it in a frame of no kind, and stay."""
    peer.transport.pause_reading()
    peer.transport.write(b"\x83\x00")
    await peer.wait_closed()


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (farewell, "has ended the connection"),
        (half_a_farewell, "has ended the connection"),
        (hang_up, "has closed the connection"),
        (flood, "what nobody reads: .*exceeds limit"),
        (trickle, "what nobody reads: .*exceeds limit"),
        (binary, "1 bytes that are no text"),
        (no_text, "what nobody reads: invalid start byte"),
        (nonsense, "what nobody reads: invalid opcode"),
    ],
)
async def test_the_end_of_the_other_side_is_said(path: Path, last: Callable[[Peer], Awaitable[None]], why: str) -> None:
    """Ours: with a farewell, without one, with more than anybody would read, and with what is no text."""

    async def meet(peer: Peer) -> None:
        await peer.send("before")
        await last(peer)

    with anyio.fail_after(PATIENCE_S):
        async with listening(path, meet), connected(path) as connection:
            assert await connection.receive() == "before"
            with pytest.raises(Unavailable, match=why):
                await connection.receive()


async def test_who_is_gone_hears_nothing_more(path: Path) -> None:
    """Ours: a program that has ended."""
    with anyio.fail_after(PATIENCE_S):
        async with listening(path, hang_up), connected(path) as connection:
            with pytest.raises(Unavailable):
                await connection.receive()
            with pytest.raises(Unavailable, match="closed the connection"):
                await connection.send("are you there?")


async def test_who_stops_waiting_loses_nothing(path: Path) -> None:
    """Ours: a deadline for an answer is no end of the connection."""
    asked = anyio.Event()

    async def late(peer: Peer) -> None:
        await peer.recv()
        await peer.send("late")
        asked.set()
        await peer.wait_closed()

    with anyio.fail_after(PATIENCE_S):
        async with listening(path, late), connected(path) as connection:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connection.receive)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            await connection.send("are you there?")
            await asked.wait()
            assert await connection.receive() == "late"


async def test_it_is_left_though_the_other_side_is_deaf(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: no farewell can be said to who reads nothing; a cancelled caller does not wait for it."""
    monkeypatch.setattr("wire.websocket.LEFT_WITHIN_S", 0.05)
    deaf = anyio.Event()

    async def turn_away(peer: Peer) -> None:
        peer.transport.pause_reading()
        deaf.set()
        await peer.wait_closed()

    with anyio.fail_after(PATIENCE_S):
        async with listening(path, turn_away), anyio.create_task_group() as tasks, connected(path) as connection:
            await deaf.wait()
            tasks.start_soon(connection.send, "x" * MAX_BYTES)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def answering(path: Path, answer: bytes) -> AsyncGenerator[None]:
    """Be another program, which answers a request so; behind a whole line it waits for more."""

    left = anyio.Event()

    async def serve(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer)
            if answer.endswith(b"\n"):
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    await stream.receive()
        left.set()

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield
        await left.wait()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "does not speak WebSocket"),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://example.com/\r\nContent-Length: 0\r\n\r\n", "does not speak WebSocket"),
        (b"220 mail.example.com ESMTP\r\n", "does not speak WebSocket"),
        (b"HTTP/1.1", "nothing answers at"),
        (b"", "nothing answers at"),
    ],
)
async def test_somebody_else_there_is_said(path: Path, answer: bytes, why: str) -> None:
    """Ours: the path is another program's."""
    with anyio.fail_after(PATIENCE_S):
        async with answering(path, answer):
            with pytest.raises(Unavailable, match=why):
                async with connected(path):
                    pass


async def test_nobody_there_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: no socket, one that was left behind, and one behind which nobody answers."""
    monkeypatch.setattr("wire.websocket.CONNECTED_WITHIN_S", 0.05)

    async def refused() -> None:
        with pytest.raises(Unavailable, match="nothing answers at"):
            async with connected(path):
                pass

    with anyio.fail_after(PATIENCE_S):
        await refused()
        with socket.socket(socket.AF_UNIX) as busy:
            busy.bind(str(path))
            busy.listen()
            await refused()
        await refused()
