"""A WebSocket over a unix socket, as a client that speaks text with a local program: `websockets`, with our errors.

It knows nothing of what is said. No extension is offered, so none is used.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from wire.errors import Unavailable

MAX_BYTES = 16 * 1024 * 1024
"""Of one message; a longer one ends the connection."""
CONNECTED_WITHIN_S = 5.0
LEFT_WITHIN_S = 1.0
"""How long a farewell may take; after that the connection is cut."""


class _Client(ClientConnection):
    """Hangs up once either side has said farewell. The library leaves that to the server, and waits without end."""

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        super().data_received(data)
        if self.protocol.close_expected():
            self.transport.close()  # it still sends what is to be sent


class WebSocket:
    """One connection. One task may receive; any may send."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        """Send a message.

        Raises:
            Unavailable: the other side is gone.
        """
        try:
            await self._connection.send(text.encode(), text=True)
        except ConnectionClosed as exc:
            raise Unavailable("the program has closed the connection") from exc

    async def receive(self) -> str:
        """Wait for a message.

        Raises:
            Unavailable: the other side is gone, or says what is no text or too long.
        """
        try:
            message = await self._connection.recv()
        except ConnectionClosed as exc:
            raise Unavailable(_why(exc)) from exc
        if isinstance(message, bytes):
            raise Unavailable(f"the program sent {len(message)} bytes that are no text")
        return message


@asynccontextmanager
async def connected(path: Path) -> AsyncGenerator[WebSocket]:
    """Have a connection while the body runs.

    Raises:
        Unavailable: nobody listens there, or somebody who does not speak so.
    """
    connection = await _opened(path)
    try:
        yield WebSocket(connection)
    finally:
        with anyio.move_on_after(LEFT_WITHIN_S, shield=True):
            await connection.close()
        connection.transport.abort()
        with anyio.CancelScope(shield=True):
            await connection.wait_closed()  # until the next round of the loop


async def _opened(path: Path) -> ClientConnection:
    try:
        return await unix_connect(
            str(path),
            "ws://localhost/",
            compression=None,
            create_connection=_Client,
            close_timeout=LEFT_WITHIN_S,
            max_size=MAX_BYTES,
            open_timeout=CONNECTED_WITHIN_S,
            ping_interval=None,
            proxy=None,
            user_agent_header=None,
        )
    except OSError as exc:  # a timeout, too
        raise Unavailable(f"nothing answers at {path}") from exc
    except (WebSocketException, ValueError) as exc:  # ValueError: it sends us elsewhere
        if isinstance(exc.__cause__, EOFError):
            raise Unavailable(f"nothing answers at {path}") from exc
        raise Unavailable("it does not speak WebSocket") from exc


def _why(exc: ConnectionClosed) -> str:
    if exc.rcvd is not None:
        return f"the program has ended the connection (code {exc.rcvd.code})"
    if exc.sent is not None:
        return f"the program sent what nobody reads: {exc.sent.reason}"
    return "the program has closed the connection"
