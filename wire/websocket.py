"""A WebSocket over a unix socket, as a client: as much of RFC 6455 as a local program needs that speaks text.

It knows nothing of what is said. No extension is offered, so none is used.
"""

import base64
import os
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import ByteReceiveStream
from anyio.streams.buffered import BufferedByteReceiveStream

from wire.errors import Unavailable

MAX_BYTES = 16 * 1024 * 1024
"""Of one message; a longer one ends the connection."""
HEAD_BYTES = 8192
CONNECTED_WITHIN_S = 5.0

_CONTINUED, _TEXT, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x8, 0x9, 0xA
_FINAL, _MASKED = 0x80, 0x80
_GONE = (OSError, anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError)


class Bytes(ByteReceiveStream):
    """A connected socket as a stream. That of anyio complains aloud where it is cancelled while bytes come."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """See `anyio.abc.ByteReceiveStream`."""
        while True:
            try:
                data = self._socket.recv(max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                continue
            if not data:
                raise anyio.EndOfStream
            return data

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)

    async def aclose(self) -> None:
        """Close it, also for who waits for it."""
        if self._socket.fileno() >= 0:
            anyio.notify_closing(self._socket)
            self._socket.close()


class WebSocket:
    """One connection. One task may receive; any may send."""

    def __init__(self, stream: Bytes, received: BufferedByteReceiveStream) -> None:
        self._stream = stream
        self._received = received
        self._sending = anyio.Lock()

    async def send(self, text: str) -> None:
        """Send a message.

        Raises:
            Unavailable: the other side is gone.
        """
        await self._send(_TEXT, text.encode())

    async def receive(self) -> str:
        """Wait for a message.

        Raises:
            Unavailable: the other side is gone, or says what is no text or too long.
        """
        message = bytearray()
        while True:
            try:
                first, data = await self._frame()
            except _GONE as exc:
                raise Unavailable("the program has closed the connection") from exc
            match first & 0x0F:
                case kind if kind in (_CONTINUED, _TEXT) and len(message) + len(data) <= MAX_BYTES:
                    message += data
                    if first & _FINAL:
                        return message.decode("utf-8", "replace")
                case kind if kind == _PING:
                    await self._send(_PONG, data)
                case kind if kind == _PONG:
                    continue
                case kind:
                    raise Unavailable(f"the program has ended the connection (frame {kind}, {len(data)} bytes)")

    async def _frame(self) -> tuple[int, bytes]:
        first, second = await self._received.receive_exactly(2)
        length = second & 0x7F
        if length == 126:  # the protocol's own mark: two bytes of length follow
            (length,) = struct.unpack("!H", await self._received.receive_exactly(2))
        elif length == 127:  # eight
            (length,) = struct.unpack("!Q", await self._received.receive_exactly(8))
        if length > MAX_BYTES:
            raise Unavailable(f"the program sent {length} bytes at once")
        return first, await self._received.receive_exactly(length) if length else b""

    async def _send(self, kind: int, data: bytes) -> None:
        size = len(data)
        if size < 126:  # as above
            length = bytes([_MASKED | size])
        elif size < 1 << 16:
            length = bytes([_MASKED | 126]) + struct.pack("!H", size)
        else:
            length = bytes([_MASKED | 127]) + struct.pack("!Q", size)
        # A mask keeps proxies from reading it as something else. There is none here, but a client has to have one.
        frame = bytes([_FINAL | kind]) + length + bytes(4) + data
        try:
            async with self._sending:
                await self._stream.send(frame)
        except _GONE as exc:
            raise Unavailable("the program has closed the connection") from exc


@asynccontextmanager
async def connected(path: Path) -> AsyncGenerator[WebSocket]:
    """Have a connection while the body runs.

    Raises:
        Unavailable: nobody listens there, or somebody who does not speak so.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream = Bytes(connection)
    try:
        try:
            with anyio.fail_after(CONNECTED_WITHIN_S):
                connection.connect(str(path))  # a unix socket is connected at once, or not at all
                greeted = await _greeted(stream)
        except (*_GONE, TimeoutError, anyio.DelimiterNotFound) as exc:
            raise Unavailable(f"nothing answers at {path}") from exc
        yield greeted
    finally:
        await stream.aclose()


async def _greeted(stream: Bytes) -> WebSocket:
    key = base64.b64encode(os.urandom(16)).decode()
    asked = (
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    received = BufferedByteReceiveStream(stream)
    await stream.send(asked.encode())
    head = await received.receive_until(b"\r\n\r\n", HEAD_BYTES)
    if b" 101 " not in head.split(b"\r\n", 1)[0]:
        raise Unavailable("it does not speak WebSocket")
    return WebSocket(stream, received)
