"""The other side of `wire.websocket`: a server on a unix socket that a test speaks for, frame by frame."""

import base64
import hashlib
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from wire.websocket import Bytes

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FINAL = 0x80
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_GONE = (OSError, anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError)


class Peer:
    """One client, once it was greeted."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = Bytes(stream.extra(SocketAttribute.raw_socket))  # noqa: S610  # no SQL is near
        self._received = BufferedByteReceiveStream(self._stream)

    async def greet(self, status: str = "101 Switching Protocols") -> None:
        """Answer its request as the protocol wants it."""
        head = (await self._received.receive_until(b"\r\n\r\n", 8192)).split(b"\r\n")
        asked = dict(line.split(b": ", 1) for line in head[1:])
        accept = base64.b64encode(hashlib.sha1(asked[b"Sec-WebSocket-Key"] + _GUID).digest())  # noqa: S324  # it says so
        answer = f"HTTP/1.1 {status}\r\nupgrade: websocket\r\nsec-websocket-accept: {accept.decode()}\r\n\r\n"
        await self._stream.send(answer.encode())

    async def send(self, data: bytes, first: int = FINAL | TEXT) -> None:
        """Send one frame."""
        if len(data) < 126:
            length = bytes([len(data)])
        elif len(data) < 1 << 16:
            length = bytes([126]) + struct.pack("!H", len(data))
        else:
            length = bytes([127]) + struct.pack("!Q", len(data))
        await self._stream.send(bytes([first]) + length + data)

    async def announce(self, length: int) -> None:
        """Send the head of a frame that would be so long."""
        await self._stream.send(bytes([FINAL | TEXT, 127]) + struct.pack("!Q", length))

    async def receive(self) -> tuple[int, str]:
        """Wait for a frame; gives its kind and text."""
        first, second = await self._received.receive_exactly(2)
        assert second & 0x80, "a client masks"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self._received.receive_exactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._received.receive_exactly(8))
        mask = await self._received.receive_exactly(4)
        data = await self._received.receive_exactly(length) if length else b""
        return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)).decode()

    async def hang_up(self) -> None:
        """End the connection."""
        await self._stream.aclose()


@asynccontextmanager
async def listening(path: Path, meet: Callable[[Peer], Awaitable[None]]) -> AsyncGenerator[None]:
    """Serve at a path while the body runs."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            with suppress(*_GONE):
                await meet(Peer(stream))

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield
        tasks.cancel_scope.cancel()
