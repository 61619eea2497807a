"""The listening end of the link: accepts, bounds, drains. One task group for all connections."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from broker.edge.connection import Connection
from broker.edge.dispatch import Dispatcher
from broker.edge.hub import Hub
from broker.edge.office import Office
from wire.errors import Limited
from wire.fleet import Push
from wire.logs import get_logger
from wire.transport import Receiver, Transport
from wire.unix_socket import listen_unix

MAX_UNWELCOMED = 64
"""Connections that have not said hello yet; over the socket and over the port each."""
MAX_CONNECTIONS = 512
"""In all: each takes a file descriptor, and the database and the token files need some too."""
DRAIN_WITHIN_S = 1.5
GOODBYE_WITHIN_S = 0.3
"""How long a peer may take to read what was said last; over TLS it also has to agree to the end."""

log = get_logger("broker")


class Server:
    """All connections of a broker."""

    def __init__(self, office: Office, group: TaskGroup) -> None:
        self.hub = Hub()
        self._group = group
        self._dispatcher = Dispatcher(office, self.hub, self._start_errand)
        self.connections: set[Connection] = set()
        """All of them, welcomed or not."""

    def _start_errand(self, errand: Callable[..., Any], *args: Any) -> None:
        self._group.start_soon(errand, *args)

    def accept(self, transport: Transport) -> Receiver:
        """Take a new connection; one too many is told so and closed."""
        connection = Connection(transport, self._dispatcher)
        too_many = self._too_many(remote=transport.remote)
        if too_many is not None:
            connection.refuse(None, too_many)
            transport.close()
            return connection
        self.connections.add(connection)
        self._group.start_soon(self._live, connection)
        return connection

    def _too_many(self, *, remote: bool) -> Limited | None:
        if len(self.connections) >= MAX_CONNECTIONS:
            return Limited(f"{MAX_CONNECTIONS} connections are open; end some of the programs that hold them")
        if self.unwelcomed(remote=remote) >= MAX_UNWELCOMED:
            return Limited("too many connections have not said hello yet; try again")
        return None

    def unwelcomed(self, *, remote: bool) -> int:
        """Count the connections that have not said hello: those over the port, or those over the socket."""
        waiting = [one for one in self.connections if not one.welcomed.is_set()]
        return sum(one.transport.remote is remote for one in waiting)

    async def _live(self, connection: Connection) -> None:
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)

    async def drain(self) -> None:
        """Tell everybody, let what is in flight finish within a bound, then close every connection.

        What comes after the beginning is not read: its sender asks the next broker.
        """
        self._dispatcher.draining = True
        self.hub.announce(Push(event="shutting_down"))
        for connection in self.connections:
            connection.transport.pause()
            self._dispatcher.withdraw(connection)
        with anyio.move_on_after(DRAIN_WITHIN_S) as bound:
            for connection in list(self.connections):
                await connection.idle()
        if bound.cancelled_caught:
            log.warning("drain_gave_up", in_flight=sum(len(c.in_flight) for c in self.connections))
        for connection in list(self.connections):
            connection.transport.close()
        with anyio.move_on_after(GOODBYE_WITHIN_S):
            await self._all_closed()
        for connection in list(self.connections):
            connection.transport.abort()
        await self._all_closed()

    async def _all_closed(self) -> None:
        for connection in list(self.connections):
            await connection.closed.wait()


@asynccontextmanager
async def listening(office: Office, path: Path, user_group: int | None = None) -> AsyncGenerator[Server]:
    """Accept connections at `path` while the block runs, from a user group too; drain them at its end."""
    async with anyio.create_task_group() as group:
        server = Server(office, group)
        listener = await listen_unix(path, server.accept, group=user_group)
        try:
            yield server
        finally:
            listener.close()
            with anyio.CancelScope(shield=True):
                await server.drain()
            group.cancel_scope.cancel()
