"""A WebSocket over a unix socket: text both ways, of any length; whatever else comes ends it, and says so."""

import tempfile
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path

import anyio
import pytest

from tests.fakes.websocket import CLOSE, FINAL, PING, PONG, TEXT, Peer, listening
from wire.errors import Unavailable
from wire.websocket import MAX_BYTES, connected

pytestmark = pytest.mark.anyio


@pytest.fixture
def path() -> Generator[Path]:
    """A socket whose path is short enough."""
    with tempfile.TemporaryDirectory(prefix="qp-", dir="/tmp") as folder:
        yield Path(folder, "s")


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 200_000])
async def test_text_of_any_length_goes_both_ways(path: Path, length: int) -> None:
    """RFC 6455, 5.2: three ways to say how long a frame is."""

    async def echo(peer: Peer) -> None:
        await peer.greet()
        kind, text = await peer.receive()
        assert kind == TEXT
        await peer.send(text.encode())

    with anyio.fail_after(30):
        async with listening(path, echo), connected(path) as socket:
            await socket.send("é" * length)
            assert await socket.receive() == "é" * length


async def test_pieces_are_put_together_and_a_ping_between_them_is_answered(path: Path) -> None:
    """RFC 6455, 5.4 and 5.5: a control frame may stand in the middle of a message."""
    heard: list[tuple[int, str]] = []

    async def piecemeal(peer: Peer) -> None:
        await peer.greet()
        await peer.send(b"one, ", TEXT)
        await peer.send(b"are you there?", FINAL | PING)
        heard.append(await peer.receive())
        await peer.send(b"nothing", FINAL | PONG)
        await peer.send(b"two, ", 0)
        await peer.send(b"three", FINAL)
        await peer.receive()

    with anyio.fail_after(30):
        async with listening(path, piecemeal), connected(path) as socket:
            assert await socket.receive() == "one, two, three"
    assert heard == [(PONG, "are you there?")]


async def test_the_end_of_the_other_side_is_said(path: Path) -> None:
    """Ours: with a farewell, without one, with more than anybody would read, and with what is no text."""

    async def farewell(peer: Peer) -> None:
        await peer.send(b"\x03\xe8", FINAL | CLOSE)

    async def flood(peer: Peer) -> None:
        await peer.announce(MAX_BYTES + 1)

    async def trickle(peer: Peer) -> None:
        half = bytes(MAX_BYTES // 2 + 1)
        await peer.send(half, TEXT)
        await peer.send(half, FINAL)

    async def binary(peer: Peer) -> None:
        await peer.send(b"\x00", FINAL | 2)

    for number, last in enumerate((farewell, Peer.hang_up, flood, trickle, binary)):

        async def meet(peer: Peer, last: Callable[[Peer], Awaitable[None]] = last) -> None:
            await peer.greet()
            await last(peer)
            await peer.receive()

        place = path.with_name(f"s{number}")
        with anyio.fail_after(30):
            async with listening(place, meet), connected(place) as socket:
                with pytest.raises(Unavailable):
                    await socket.receive()


async def test_who_is_gone_hears_nothing_more(path: Path) -> None:
    """Ours: a program that has ended."""

    async def leave(peer: Peer) -> None:
        await peer.greet()

    with anyio.fail_after(30):
        async with listening(path, leave), connected(path) as socket:
            with pytest.raises(Unavailable):
                await socket.receive()
            with pytest.raises(Unavailable, match="closed the connection"):
                await socket.send("are you there?")


async def test_nobody_there_and_somebody_else_there_are_said(path: Path) -> None:
    """Ours: the path is of no use, or of another program's."""

    async def decline(peer: Peer) -> None:
        await peer.greet("404 Not Found")

    with anyio.fail_after(30):
        with pytest.raises(Unavailable, match="nothing answers at"):
            async with connected(path):
                pass
        async with listening(path, decline):
            with pytest.raises(Unavailable, match="does not speak WebSocket"):
                async with connected(path):
                    pass
        other = path.with_name("other")
        async with listening(other, Peer.hang_up):
            with pytest.raises(Unavailable, match="nothing answers at"):
                async with connected(other):
                    pass
