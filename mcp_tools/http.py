"""The tools over streamable HTTP on loopback: of all agents of a harness, or of one plain client (`mcp_tools.serving`).

Who calls is decided anew for each request, by its bearer token. A session of the 2025 protocol belongs to the
token that opened it. Which tokens there are is the business of whoever serves.
"""

import hashlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, cast, get_args

import anyio
import uvicorn
from anyio.abc import TaskStatus
from mcp.server import Server
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from mcp_tools.desk import Desk
from mcp_tools.exchange import Exchange, Exchanges
from mcp_tools.notes import NotesDesk
from mcp_tools.server import Context, FindPlace, build_notes_server, build_server
from wire.errors import Unavailable
from wire.logs import get_logger
from wire.settings import Role

PATH = "/mcp"

MAX_BODY_BYTES = 1024 * 1024
"""Of a request; a frame of the link holds no more either."""

MAX_SESSIONS = 1000
MAX_CONNECTIONS = 1024
GRACE_S = 1
"""How long answers may still be written after stop; uvicorn wants whole seconds."""

FindDesk = Callable[[str], Desk | None]
"""Gives the desk that a bearer token opens. Compares in constant time: see `mcp_tools.bearers`."""

BuildServer = Callable[[Role, FindPlace], Server[Any]]
"""Builds what speaks the protocol behind the checks of this module; the mail tools, if nothing else is said."""

_ALLOWED = ("POST", "DELETE")
_HINTS: dict[HTTPStatus, dict[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"www-authenticate": "Bearer"},
    HTTPStatus.METHOD_NOT_ALLOWED: {"allow": ", ".join(_ALLOWED)},
}
_IN_SCOPE = "queenpost.exchange"

log = get_logger("mcp")


class App:
    """The ASGI application. Checks every request by itself and leaves the protocol to the SDK."""

    def __init__(self, desks: FindDesk, host: str, port: int, build: BuildServer = build_server) -> None:
        self.host = host
        self.port = port
        """0 until `serve` has bound it."""
        self._desks = desks
        self._build = build
        self._exchanges = Exchanges()
        self._managers: dict[Role, StreamableHTTPSessionManager] = {}
        self._notes: StreamableHTTPSessionManager | None = None
        """Of sessions that make notes shorter."""

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Hold the sessions of both surfaces."""
        self._managers = {role: _manager(self._build(role, _place_of)) for role in get_args(Role)}
        self._notes = _manager(build_notes_server(_place_of))
        async with self._managers["agent"].run(), self._managers["manager"].run(), self._notes.run():
            yield

    def close(self) -> None:
        """Let every parked call end with an answer; those that come now do not park."""
        self._exchanges.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
            return
        token = _bearer(headers)
        desk = self._desks(token) if token else None
        if desk is None:
            await _refuse(HTTPStatus.UNAUTHORIZED, scope, receive, send)
            return
        await self._serve(desk, token, scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> HTTPStatus | None:
        """Say why a request is refused whoever sends it: a browser must not be led here (DNS rebinding)."""
        if headers.getlist("host") != [f"{self.host}:{self.port}"]:
            return HTTPStatus.MISDIRECTED_REQUEST
        if "origin" in headers:
            return HTTPStatus.FORBIDDEN
        if scope["path"] != PATH:
            return HTTPStatus.NOT_FOUND
        if scope["query_string"]:
            return HTTPStatus.BAD_REQUEST  # before somebody puts a token there: addresses end up in logs
        # No GET: we never speak unasked, and a stream that stands open would only hold up a stop.
        return None if scope["method"] in _ALLOWED else HTTPStatus.METHOD_NOT_ALLOWED

    async def _serve(self, desk: Desk, token: str, scope: Scope, receive: Receive, send: Send) -> None:
        session = Headers(scope=scope).get("mcp-session-id")
        async with self._exchanges.open(desk, session, receive, send) as exchange:
            known = {**scope, _IN_SCOPE: exchange, "user": _user(desk, token)}
            try:
                of_notes = self._notes if isinstance(desk, NotesDesk) else None
                manager = of_notes or self._managers[desk.role]
                await manager.handle_request(known, exchange.receive, exchange.send)
            except ClientDisconnect:  # in the middle of its request: nobody is left to answer
                log.info("http_client_gone", agent=desk.agent)


def build_app(desks: FindDesk, host: str = "127.0.0.1", port: int = 0, *, instructions: str | None = None) -> App:
    """Build the application; with port 0 it learns its port from `serve`. `instructions` are for every client."""
    return App(desks, host, port, partial(build_server, instructions=instructions))


async def serve(
    app: App,
    stop: anyio.Event,
    sock: socket.socket | None = None,
    *,
    task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop`, on the app's address or a socket that is bound; `started` gives the port."""
    sock = sock or _bound(app.host, app.port)
    sock.listen()
    app.port = sock.getsockname()[1]
    server = _Server(_config(app))
    async with app.run(), anyio.create_task_group() as group:
        group.start_soon(_stop_when, stop, app, server)
        task_status.started(app.port)
        try:
            await server.serve(sockets=[sock])
        except anyio.get_cancelled_exc_class():
            app.close()
            server.force_exit = True
            with anyio.move_on_after(GRACE_S, shield=True):
                await server.shutdown(sockets=[sock])
            raise
        group.cancel_scope.cancel()


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: signals belong to the program that hosts it."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _config(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_S,
    )


async def _stop_when(stop: anyio.Event, app: App, server: uvicorn.Server) -> None:
    await stop.wait()
    app.close()
    server.should_exit = True


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as exc:
        sock.close()
        raise Unavailable(f"port {port} of {host} cannot be had ({exc.strerror}); choose another one") from exc
    return sock


def _manager(server: Server[Any]) -> StreamableHTTPSessionManager:
    # Answers as event streams: only they carry progress in both eras and notice a client that left.
    return StreamableHTTPSessionManager(
        server, json_response=False, max_request_body_size=MAX_BODY_BYTES, max_sessions=MAX_SESSIONS
    )


def _place_of(context: Context) -> Exchange:
    """Handlers of a 2025 session run in the task of the session: only the request tells whose it is."""
    return cast("Request", context.request).scope[_IN_SCOPE]


def _bearer(headers: Headers) -> str:
    values = headers.getlist("authorization")
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""


def _user(desk: Desk, token: str) -> AuthenticatedUser:
    """Tell the SDK whose session it is: it answers 404 where another credential uses it."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    return AuthenticatedUser(AccessToken(token="", client_id=desk.agent, subject=digest, scopes=[]))


async def _refuse(status: HTTPStatus, scope: Scope, receive: Receive, send: Send) -> None:
    log.info("http_refused", status=int(status), path=scope["path"][:64])
    response = PlainTextResponse(f"{status.phrase}\n", int(status), _HINTS.get(status))
    await response(scope, receive, send)
