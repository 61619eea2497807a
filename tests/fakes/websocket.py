"""The other side of `wire.websocket`: a server on a unix socket that a test speaks for."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from websockets.asyncio.server import ServerConnection as Peer
from websockets.asyncio.server import unix_serve
from websockets.exceptions import ConnectionClosed

__all__ = ["Peer", "listening"]


@asynccontextmanager
async def listening(path: Path, meet: Callable[[Peer], Awaitable[None]]) -> AsyncGenerator[None]:
    """Serve at a path while the body runs; a client that leaves ends its `meet`."""

    async def serve(peer: Peer) -> None:
        with suppress(ConnectionClosed):
            await meet(peer)

    async with await unix_serve(serve, str(path), compression=None, close_timeout=1, max_size=None, ping_interval=None):
        yield
