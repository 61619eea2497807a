"""The tools of one agent over HTTP on loopback, for a client that does not start its servers itself (DESIGN 5.4).

The bearer token is made at start and lies in the home while this runs. On SIGTERM unhandled mail goes back, then the
process ends.
"""

import fcntl
import json
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
from anyio.abc import TaskStatus

from mcp_tools.attended import attend
from mcp_tools.bearers import Bearers
from mcp_tools.desk import Desk
from mcp_tools.http import PATH, build_app
from mcp_tools.http import serve as serve_http
from mcp_tools.presence import Presence
from wire.clock import Clock
from wire.errors import Conflict
from wire.home import Home
from wire.logs import get_logger
from wire.private_files import write_secret

HOW_MAIL_IS_HANDLED = (
    "Mail that recv gave you counts as handled once you answer it with send and in_reply_to, or pass its id as "
    "done. Anything else comes back after half an hour without a call."
)
"""Instructions over HTTP, where waiting for more mail says nothing about the mail before."""

log = get_logger("mcp")


def bearer_path(home: Home, agent: str) -> Path:
    """Say where the token for clients lies; hooks touch this file to say that the session is alive."""
    return home.run / f"mcp-{agent}.token"


async def serve(
    home: Home, agent: str, token: Callable[[], str], *, port: int, clock: Clock, say: Callable[[str], None]
) -> None:
    """Be the agent's MCP server until a signal comes; `say` gets the ready line.

    Raises:
        Unavailable: no broker listens, or the port cannot be had.
        Denied: the token is not the agent's.
        Conflict: another server over HTTP works for the agent.
    """
    stop, path = anyio.Event(), bearer_path(home, agent)
    async with anyio.create_task_group() as signals:
        await signals.start(_watch_signals, stop)
        outbox = home.agent_harness(agent) / "outbox.db"
        async with attend(home.socket, agent, token, presence=Presence(clock, path), outbox=outbox) as desk:
            with _alone(home, agent):
                await _serve(desk, path, port, stop, say)
        signals.cancel_scope.cancel()


async def _serve(desk: Desk, path: Path, port: int, stop: anyio.Event, say: Callable[[str], None]) -> None:
    bearers = Bearers()
    app = build_app(bearers, port=port, instructions=HOW_MAIL_IS_HANDLED)
    async with anyio.create_task_group() as server:
        await server.start(serve_http, app, stop)
        write_secret(path, bearers.issue(desk))
        try:
            url = f"http://{app.host}:{app.port}{PATH}"
            say(json.dumps({"event": "ready", "agent": desk.agent, "mcp": url, "token_file": str(path)}))
            await stop.wait()
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _alone(home: Home, agent: str) -> Generator[None]:
    """Keep a second server from taking the token file over. The kernel's lock ends with the process."""
    file = os.open(home.run / f"mcp-{agent}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Conflict(f"another `queenpost mcp --agent {agent} --http` runs on this home; end it first") from None
    finally:
        os.close(file)


async def _watch_signals(stop: anyio.Event, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            log.info("stopping", signal=number)
            stop.set()
