"""`queenpost link`: stdin and stdout joined to the broker of a home. What `--broker ssh://HOST` runs on HOST.

It copies bytes and understands none of them. Neither models nor an event loop are loaded: a person waits for it.
"""

import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

import click

from console.cli.homes import home_of, token_of_home
from console.cli.options import Options, command
from wire.errors import Denied, QueenpostError, Unavailable
from wire.greeting import PROTOCOL, Greeting, encode_greeting, program_version
from wire.home import Home, find_home, has_room
from wire.private_files import read_descriptor, read_secret

PIECE_BYTES = 64 * 1024
CONNECT_WITHIN_S = 5.0
GOODBYE_WITHIN_S = 5.0
"""How long the broker may take to end a connection whose client has gone."""


@command("link")
@click.option("--no-token", is_flag=True, help="Say no token: the caller has its own.")
def link(options: Options, no_token: bool) -> None:
    """Join stdin and stdout to the broker of a home. It is run by ssh, for `--broker ssh://HOST[/HOME]`.

    The first line on stdout is a greeting with the token of the operator, or of the agent that --as names.
    """
    # Without a token nothing of the home is read: it may be another user's, who shares the socket with a group.
    home = _named(options) if no_token else home_of(options)
    with _connected(home) as broker:
        token = None if no_token else _token(options, home)
        greeting = Greeting(PROTOCOL, program_version(), str(home.root), token)
        _write(encode_greeting(greeting))
        sys.exit(_copy(broker))


def _named(options: Options) -> Home:
    return find_home(str(options.home) if options.home else None, os.environ, Path.cwd())


def _token(options: Options, home: Home) -> str:
    if options.token_fd is not None:
        return read_descriptor(options.token_fd)
    return read_secret(options.token_file) if options.token_file else token_of_home(home, options.as_)


def _connected(home: Home) -> socket.socket:
    """Connect; a full backlog is waited for.

    Raises:
        Unavailable: no broker runs there. Denied: the socket is not for this user.
    """
    broker = socket.socket(socket.AF_UNIX)
    broker.settimeout(CONNECT_WITHIN_S)
    try:
        if not has_room(home.socket):
            raise FileNotFoundError
        broker.connect(str(home.socket))
    except OSError as exc:
        broker.close()
        raise _refusal(home, exc) from exc
    broker.settimeout(None)
    return broker


def _refusal(home: Home, exc: OSError) -> QueenpostError:
    if isinstance(exc, PermissionError):
        return Denied(f"may not open {home.socket}: the fleet belongs to another user")
    if isinstance(exc, FileNotFoundError | ConnectionRefusedError):
        return Unavailable(f"no broker runs for the home {home.root}; start it there with `queenpost up`")
    return Unavailable(f"cannot connect to {home.socket}: {exc}")


def _copy(broker: socket.socket) -> int:
    """Copy both ways until one side ends; gives the exit code."""
    client_gone = threading.Event()
    threading.Thread(target=_copy_to, args=(broker, client_gone), daemon=True).start()
    try:
        while piece := _received(broker):
            _write(piece)
    except BrokenPipeError:
        return 0
    if client_gone.is_set():
        return 0
    raise Unavailable("the broker has ended the connection; it stops, or its log says why")


def _received(broker: socket.socket) -> bytes:
    try:
        return broker.recv(PIECE_BYTES)
    except OSError:
        return b""


def _copy_to(broker: socket.socket, client_gone: threading.Event) -> None:
    try:
        while piece := os.read(0, PIECE_BYTES):
            broker.sendall(piece)
        client_gone.set()
        broker.shutdown(socket.SHUT_WR)  # what the broker still has to say is copied
    except OSError:
        return  # its other half, which reads from the broker, sees why
    # Nobody reads its answers any more: it must not keep this process for as long as it hangs.
    timer = threading.Timer(GOODBYE_WITHIN_S, _hang_up, args=(broker,))
    timer.daemon = True
    timer.start()


def _hang_up(broker: socket.socket) -> None:
    with suppress(OSError):  # it has ended
        broker.shutdown(socket.SHUT_RDWR)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]
