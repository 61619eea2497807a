"""The port of the link: TCP with TLS. Who has shaken hands is a connection like any other.

Whoever has not is bounded apart from the socket: strangers on the network must not keep the fleet's own user out.
"""

import errno
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from ssl import SSLContext

import anyio
from anyio.abc import TaskGroup

from broker.edge.server import MAX_UNWELCOMED, Server
from wire.errors import Invalid, Unavailable
from wire.home import Home
from wire.logs import get_logger
from wire.settings import LinkSettings
from wire.tls import server_context
from wire.transport import BACKLOG, admit_tls

PORT_FILE = "tls-port"
"""In the folder `run` of the home, while the port is open: its number, which `listen = "host:0"` leaves open."""
NO_DESCRIPTOR_S = 1.0
"""How long accepting rests when the process has no descriptor left."""

log = get_logger("broker")


class Port:
    """One listening port. Handshakes run side by side, none for longer than its time."""

    def __init__(self, server: Server, context: SSLContext, group: TaskGroup) -> None:
        self._server = server
        self._context = context
        self._group = group
        self._handshakes = 0

    async def accept(self, listening: socket.socket) -> None:
        """Take connections until cancelled."""
        while True:
            await anyio.wait_readable(listening)
            try:
                sock, _ = listening.accept()
            except OSError as exc:
                if exc.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    log.warning("accept_failed", reason=exc.strerror)
                    await anyio.sleep(NO_DESCRIPTOR_S)
                continue
            sock.setblocking(False)
            # Nothing can be told to who speaks no TLS yet.
            if self._handshakes + self._server.unwelcomed(remote=True) >= MAX_UNWELCOMED:
                sock.close()
                continue
            self._handshakes += 1
            self._group.start_soon(self._shake_hands, sock)

    async def _shake_hands(self, sock: socket.socket) -> None:
        try:
            await admit_tls(sock, self._context, self._server.accept)
        except OSError as exc:
            log.info("handshake_failed", reason=str(exc)[:200] or type(exc).__name__)
        finally:
            self._handshakes -= 1


@asynccontextmanager
async def port_open(server: Server, home: Home, link: LinkSettings) -> AsyncGenerator[int | None]:
    """Accept connections from other machines while the block runs, where the settings say so; gives the port.

    Raises:
        Invalid: the address, certificate or key cannot be used. Denied: others may read the key.
        Unavailable: the port is taken.
    """
    noted = home.run / PORT_FILE
    noted.unlink(missing_ok=True)
    if link.listen is None or link.certificate is None or link.key is None:
        yield None
        return
    host, port = split_listen(link.listen)
    context = server_context(Path(link.certificate), Path(link.key))
    listening = await _listen(host, port)
    try:
        port = listening[0].getsockname()[1]
        noted.write_text(f"{port}\n", encoding="utf-8")
        async with anyio.create_task_group() as group:
            door = Port(server, context, group)
            for sock in listening:
                group.start_soon(door.accept, sock)
            log.info("port_opened", host=host, port=port)
            yield port
            group.cancel_scope.cancel()
    finally:
        for sock in listening:
            sock.close()
        noted.unlink(missing_ok=True)


def split_listen(listen: str) -> tuple[str, int]:
    """Read `host:port`, an IPv6 host in brackets; 0 takes any free port.

    Raises:
        Invalid: it is not of that form.
    """
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Invalid(f'[link] listen = "{listen}": write "host:port", like "0.0.0.0:7443"')
    return host, int(port)


async def _listen(host: str, port: int) -> list[socket.socket]:
    """Listen at every address of the host, all on the same port."""
    listening: list[socket.socket] = []
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            listening.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port, *address[2:]))
            port = sock.getsockname()[1]
            sock.listen(BACKLOG)
            sock.setblocking(False)
    except OSError as exc:
        for sock in listening:
            with suppress(OSError):
                sock.close()
        raise Unavailable(f'cannot listen at [link] listen = "{host}:{port}": {exc.strerror or exc}') from exc
    return listening
