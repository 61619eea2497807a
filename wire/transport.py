"""The byte seam of the link: newline-delimited frames over a stream socket.

The only file of wire that touches asyncio: streams cost twice as much as a Protocol. It knows lines, not
what is in them (`wire.codec`), and sockets, not where they come from (`wire.unix_socket`, `wire.dialing`). It
starts no task.
"""

import asyncio
import math
import socket
import ssl
from collections import deque
from collections.abc import Callable, Generator
from time import monotonic
from typing import Any, Protocol, cast

from wire.codec import MAX_FRAME_BYTES, MAX_HELLO_BYTES
from wire.peers import Peer, peer_of

MAX_QUEUED_BYTES = 4 * 1024 * 1024
"""What may wait to be sent on one connection. Kept by its owner, who alone knows what can be dropped."""
BACKLOG = 1024
"""Connections that may wait to be accepted."""
HANDSHAKE_WITHIN_S = 5.0
GOODBYE_WITHIN_S = 1.0
"""How long the other side of TLS may take to agree to an end."""


class Receiver(Protocol):
    """Who owns a connection. All calls come from the event loop and must neither block nor await."""

    def on_line(self, line: bytes) -> None:
        """Take one frame, without its newline."""
        ...

    def on_overflow(self) -> None:
        """Learn that a line was longer than allowed; the connection is closed after this call."""
        ...

    def on_closed(self, exc: Exception | None) -> None:
        """Learn that the connection has ended, once; None for an orderly end."""
        ...


Accept = Callable[["Transport"], Receiver]
"""Gives the owner of a connection as soon as there is one."""


class Wait:
    """One task's wait for one moment; a third of what an event costs."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __await__(self) -> Generator[Any, None, None]:
        """Wait, for as long as it takes.

        Raises:
            TimeoutError: it was given up.
        """
        return self._future.__await__()

    def end(self) -> None:
        """It has come; nothing happens where the wait has ended already."""
        if not self._future.done():
            self._future.set_result(None)

    def give_up(self) -> None:
        """It will not come in time."""
        if not self._future.done():
            self._future.set_exception(TimeoutError())
            self._future.exception()  # asked for: nobody is told off where the waiting task was cancelled meanwhile


class Alarm:
    """One timer for many deadlines, nearly all of which pass unneeded: it rings at the first of them."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._instant = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, instant: float) -> None:
        """Ring at this instant of the monotonic clock, unless it rings before; then it has to be set again."""
        if instant < self._instant:
            self.stop()
            self._instant = instant
            self._timer = asyncio.get_running_loop().call_at(instant, self._rings)

    def stop(self) -> None:
        """Ring no more, until it is set again."""
        self._instant = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rings(self) -> None:
        self.stop()
        self._ring()


class Transport(asyncio.Protocol):
    """One connection. What is written within one turn of the loop goes out in one system call."""

    def __init__(self, accept: Accept, *, max_frame_bytes: int = MAX_FRAME_BYTES, remote: bool = False) -> None:
        self.max_frame_bytes = max_frame_bytes
        """Bound of a line without its newline; the owner raises it once the other side is known."""
        self.remote = remote
        """The other side is on another machine: its end may go unnoticed, and it may come back."""
        self.heard_at = self.said_at = monotonic()
        """When bytes last came and went."""
        self._accept = accept
        self._receiver: Receiver
        self._stream: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._rest = bytearray()
        """The beginning of a line whose end has not come."""
        self._lines: deque[bytes] = deque()
        """Whole lines that nobody has taken yet: more than one only while reading is paused."""
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._flush_due = False
        self._in_delivery = False
        self._paused = False
        self._closing = False

    @property
    def queued_bytes(self) -> int:
        """Bytes that were written here and not yet taken by the kernel."""
        return self._out_bytes + self._stream.get_write_buffer_size()

    @property
    def closing(self) -> bool:
        """Whether it is closed or about to be; what is written now goes nowhere."""
        return self._closing

    @property
    def peer(self) -> Peer | None:
        """Who is at the other end of a unix socket; None elsewhere, and where the system does not tell."""
        return peer_of(cast("socket.socket", self._stream.get_extra_info("socket")))

    def hand_to(self, receiver: Receiver) -> None:
        """Deliver to another owner from now on; the one before hears nothing more."""
        self._receiver = receiver

    def write(self, data: bytes) -> None:
        """Queue bytes; in order, never blocks. After the end of the connection they are dropped."""
        if self._closing:
            return
        self._out.append(data)
        self._out_bytes += len(data)
        # Answers to the lines being delivered go out right behind them, without another turn of the loop.
        if not self._flush_due and not self._in_delivery:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def pause(self) -> None:
        """Hand over no further line until `resume`; the kernel's buffer then slows the other side down."""
        if not self._paused and not self._closing:
            self._paused = True
            self._stream.pause_reading()

    def resume(self) -> None:
        """Go on after `pause`, with the lines that had already come."""
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._go_on)

    def close(self) -> None:
        """End it after what is queued has been sent; a peer that does not read needs `abort` in the end."""
        if not self._closing:
            self._flush()
            self._closing = True
            self._stream.close()

    def abort(self) -> None:
        """End it at once; what is queued is lost."""
        self._closing = True
        self._stream.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: there is a connection."""
        self._stream = cast("asyncio.Transport", transport)
        self._receiver = self._accept(self)

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes have come; splits them and delivers every whole line."""
        self.heard_at = monotonic()
        *lines, rest = data.split(b"\n")
        if lines and self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._lines.extend(lines)
        self._rest += rest
        self._deliver()

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: it has ended; a line without its end is no line."""
        self._closing = True
        self._out.clear()
        self._out_bytes = 0
        self._receiver.on_closed(exc)

    def _go_on(self) -> None:
        self._deliver()
        if not self._paused and not self._closing:
            self._stream.resume_reading()

    def _deliver(self) -> None:
        self._in_delivery = True
        try:
            while self._lines and not self._paused and not self._closing:
                line = self._lines.popleft()
                if len(line) > self.max_frame_bytes:
                    self._overflow()
                else:
                    self._receiver.on_line(line)
            if not self._lines and not self._closing and len(self._rest) > self.max_frame_bytes:
                self._overflow()
        finally:
            self._in_delivery = False
            self._flush()

    def _overflow(self) -> None:
        self._receiver.on_overflow()
        self.close()

    def _flush(self) -> None:
        self._flush_due = False
        if self._out and not self._closing:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            self._out_bytes = 0
            self.said_at = monotonic()
            self._stream.write(data)


async def serve(sock: socket.socket, accept: Accept) -> Callable[[], None]:
    """Accept connections on a listening socket until the returned function is called; they outlive that.

    Each may send no more than a hello until its owner raises the bound.
    """
    server = await asyncio.get_running_loop().create_unix_server(
        lambda: Transport(accept, max_frame_bytes=MAX_HELLO_BYTES), sock=sock, backlog=BACKLOG
    )
    return server.close


async def adopt(sock: socket.socket, receiver: Receiver, *, remote: bool = False) -> Transport:
    """Turn a connected unix socket into a connection; closes the socket if that fails."""
    try:
        _, transport = await asyncio.get_running_loop().create_unix_connection(
            lambda: Transport(lambda _: receiver, remote=remote), sock=sock
        )
    except BaseException:
        sock.close()
        raise
    return transport


async def admit_tls(sock: socket.socket, context: ssl.SSLContext, accept: Accept) -> None:
    """Shake hands with who connected to a port; `accept` is asked only if that succeeds within its time.

    Raises:
        OSError: it did not, TLS errors included; the socket is closed.
    """
    await asyncio.get_running_loop().connect_accepted_socket(
        lambda: Transport(accept, max_frame_bytes=MAX_HELLO_BYTES, remote=True),
        sock,
        ssl=context,
        ssl_handshake_timeout=HANDSHAKE_WITHIN_S,
        ssl_shutdown_timeout=GOODBYE_WITHIN_S,
    )


async def connect_tls(host: str, port: int, context: ssl.SSLContext, receiver: Receiver) -> Transport:
    """Connect to a port and verify who answers there; nothing is sent before that.

    Raises:
        OSError: nobody answers, or TLS refuses.
    """
    _, transport = await asyncio.get_running_loop().create_connection(
        lambda: Transport(lambda _: receiver, remote=True),
        host,
        port,
        ssl=context,
        server_hostname=host,
        ssl_handshake_timeout=HANDSHAKE_WITHIN_S,
        ssl_shutdown_timeout=GOODBYE_WITHIN_S,
        happy_eyeballs_delay=0.25,
    )
    return transport
