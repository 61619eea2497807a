"""An application with what the conformance scenarios want, behind the very checks of the product.

It is `mcp_tools.http.App` with another server in it: address, host, origin, size of a body, path, method and token
are checked by the product's code. Two things it does for the suite, in front of those checks: the suite knows no
token, so each request gets one; and the suite asks that a page from the server's own address gets in, so an
`Origin` that is exactly ours is taken off. The product hosts no page and refuses every origin.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from mcp.server import Server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    EmptyResult,
    ListToolsResult,
    PaginatedRequestParams,
    SetLevelRequestParams,
)
from starlette.types import Receive, Scope, Send

from mcp_tools import http
from mcp_tools.bearers import Bearers
from mcp_tools.server import Context, FindPlace
from tests.conformance import papers, tools
from tests.fakes.desk import FakeDesk
from wire.settings import Role


async def _list_tools(_: Context, __: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=tools.listed())


async def _call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
    return await tools.call(context, params.name, params.arguments or {})


async def _set_level(_: Context, __: SetLevelRequestParams) -> EmptyResult:
    return EmptyResult()


def build_server(_: Role, __: FindPlace) -> Server[Any]:
    """Build the server that the scenarios speak to; the same for every role."""
    server: Server[Any] = Server(
        "queenpost-conformance",
        version="0",
        on_list_tools=_list_tools,
        on_call_tool=_call_tool,
        on_list_resources=papers.list_resources,
        on_list_resource_templates=papers.list_templates,
        on_read_resource=papers.read_resource,
        on_subscribe_resource=papers.subscribe,
        on_unsubscribe_resource=papers.unsubscribe,
        on_list_prompts=papers.list_prompts,
        on_get_prompt=papers.get_prompt,
        on_completion=papers.complete,
    )
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, _set_level)
    return server


class Fixture(http.App):
    """The product's application with the fixtures in it."""

    def __init__(self) -> None:
        bearers = Bearers()
        self._token = bearers.issue(FakeDesk()).encode()
        super().__init__(bearers, "127.0.0.1", 0, build_server)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add what the suite does not know, and leave the rest to the product."""
        if scope["type"] == "http":
            own = (b"origin", f"http://{self.host}:{self.port}".encode())
            kept = [header for header in scope["headers"] if header != own]
            scope = {**scope, "headers": [*kept, (b"authorization", b"Bearer " + self._token)]}
        await super().__call__(scope, receive, send)


class Unprotected(http.App):
    """The negative control: the same server as the SDK serves it when bound to every address, without our checks.

    The SDK then checks neither host nor origin. Here too it listens on loopback only: the address that it is told
    is what makes the difference.
    """

    def __init__(self) -> None:
        super().__init__(Bearers(), "127.0.0.1", 0, build_server)
        self._sdk = build_server("agent", lambda _: _nowhere())
        self._served = self._sdk.streamable_http_app(host="0.0.0.0")  # noqa: S104  # what it is told, not what it does

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Hold the sessions of the SDK's application."""
        async with self._sdk.session_manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let everybody in."""
        await self._served(scope, receive, send)


def _nowhere() -> Any:
    raise AssertionError("no tool of the fixture asks for its place")


@asynccontextmanager
async def served(app: http.App) -> AsyncGenerator[str]:
    """Serve on a port of the system's choice; gives the address."""
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        port: int = await group.start(partial(http.serve, app, stop))
        yield f"http://127.0.0.1:{port}{http.PATH}"
        stop.set()
