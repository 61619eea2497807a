"""The tools over stdio, for a plain client that holds its agent itself (DESIGN 5.4). Both protocol eras.

Ends with its input or on SIGTERM; either way unhandled mail is back before the process is gone.
"""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import anyio
from mcp.server.stdio import stdio_server

from mcp_tools.attended import attend
from mcp_tools.desk import Desk
from mcp_tools.handover import Place
from mcp_tools.pipes import LineReader, LineWriter, claim_standard_streams
from mcp_tools.server import build_server
from mcp_tools.session_note import SessionNote, note_path
from wire.elsewhere import Elsewhere
from wire.home import Home
from wire.link import Connect
from wire.logs import get_logger

HOW_MAIL_IS_HANDLED = (
    "Mail that recv gave you counts as handled once you answer it with send and in_reply_to, pass its id as "
    "done, or call recv with wait_seconds again. Anything else comes back after this session."
)
"""Instructions for a client without harness; where a harness runs the turns, it says how."""

log = get_logger("mcp")


@dataclass(frozen=True, slots=True)
class There:
    """A fleet that is not the one of the home: the way to its broker, and where events of its jobs are kept here."""

    connect: Connect
    kept: Elsewhere


async def serve(
    home: Home, agent: str, token: Callable[[], str], there: There | None = None, *, attach: bool = False
) -> None:
    """Be the agent's MCP server until the input ends or a signal comes.

    `attach`: take the agent as soon as the client knows the tools, not with the first recv.

    Raises:
        Unavailable: no broker listens.
        Denied: the token is not the agent's.
    """
    wire_in, wire_out = claim_standard_streams()
    if there is None:
        # Hooks are of the home's own fleet.
        note, outbox = SessionNote(note_path(home, agent)), home.agent_harness(agent) / "outbox.db"
        attended = attend(home.socket, agent, token, note=note, outbox=outbox)
    else:
        kept = there.kept
        attended = attend(there.connect, agent, token, outbox=kept.outbox(agent), make_room=kept.create)
    async with anyio.create_task_group() as group:
        group.start_soon(_stop_on_signal, group.cancel_scope)
        async with attended as desk:
            await _serve_streams(desk, wire_in, wire_out, desk.take_place if attach else None)
        group.cancel_scope.cancel()


async def _serve_streams(
    desk: Desk, wire_in: int, wire_out: int, when_listed: Callable[[], Awaitable[None]] | None
) -> None:
    """Serve; `when_listed` is called once the client has the list of our tools, and its model can call them."""
    place = Place(desk)
    listed = anyio.Event()

    async def written(data: bytes) -> None:
        await place.sent(data)
        # Inside of any text the quotes would have a backslash.
        if when_listed is not None and not listed.is_set() and b'"tools":[' in data:
            listed.set()
            await when_listed()

    server = build_server(desk.role, lambda _: place, instructions=HOW_MAIL_IS_HANDLED)
    source = cast("anyio.AsyncFile[str]", LineReader(wire_in))
    sink = cast("anyio.AsyncFile[str]", LineWriter(wire_out, written))
    try:
        async with stdio_server(source, sink) as (read, write):
            await server.run(read, write, server.create_initialization_options())
    except* OSError:
        log.info("client_gone", agent=desk.agent)


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("stopping", signal=number)
            scope.cancel()
            return
