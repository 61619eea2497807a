"""The MCP server for a role: which tools it lists, and the one place where their errors become text.

It is the SDK's low-level server: its high-level one would write the schemas at twice the tokens and hand a
model the validation errors of a library. Transports are in `mcp_tools.stdio` and `mcp_tools.http`.
"""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from uuid import uuid4

from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.shared.dispatcher import coerce_request_id
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    CancelledNotificationParams,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)

from mcp_tools import agents, asks, inbox, jobs, notes, reminders
from mcp_tools.handover import Place
from mcp_tools.tool import Call, Tool
from wire.errors import Internal, QueenpostError, Unknown
from wire.logs import get_logger
from wire.settings import Role

NAME = "queenpost"
"""The same in every client, so that a tool is called `mcp__queenpost__send` everywhere."""

WITHDRAW_AFTER_READING = frozenset({"opencode"})
"""Clients that withdraw each call a moment after they have read its answer: their mail would come again for ever."""

Context = ServerRequestContext[Any, Any]
FindPlace = Callable[[Context], Place]
"""Finds the place of a call from the request itself: an MCP session proves nothing about who calls."""

_ALL: tuple[Tool[Any], ...] = (*inbox.TOOLS, *asks.TOOLS, *reminders.TOOLS, *jobs.TOOLS, *agents.TOOLS)

log = get_logger("mcp")


def surface(role: Role) -> dict[str, Tool[Any]]:
    """Give the tools of a role by name."""
    return {tool.name: tool for tool in _ALL if role == "manager" or not tool.manager_only}


def build_server(role: Role, find_place: FindPlace, *, instructions: str | None = None) -> Server[Any]:
    """Build the server for a role; it holds no state, so any number of connections may share it."""
    return _server_of(surface(role), find_place, instructions)


def build_notes_server(find_place: FindPlace) -> Server[Any]:
    """Build the server for sessions that make notes shorter; see `mcp_tools.notes`."""
    return _server_of({tool.name: tool for tool in notes.TOOLS}, find_place, None)


def _server_of(tools: dict[str, Tool[Any]], find_place: FindPlace, instructions: str | None) -> Server[Any]:
    listed = ListToolsResult(tools=[tool.listed() for tool in tools.values()])

    async def list_tools(_: Context, __: PaginatedRequestParams | None) -> ListToolsResult:
        return listed

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        request_id = coerce_request_id(context.request_id or 0)
        call = Call(find_place(context), request_id, context.session.report_progress)
        return await _answer(tools, call, params.name, params.arguments)

    async def cancelled(context: Context, params: CancelledNotificationParams) -> None:
        # The SDK stops a running call by itself; one that was answered meanwhile is ours to undo.
        request_id, client = coerce_request_id(params.request_id or 0), context.session.client_params
        after_reading = client is not None and client.client_info.name in WITHDRAW_AFTER_READING
        await find_place(context).cancelled(request_id, after_reading=after_reading)

    server: Server[Any] = Server(
        NAME,
        version=_version(),
        instructions=instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=lambda name: tools[name].schema() if name in tools else None,
    )
    server.add_notification_handler("notifications/cancelled", CancelledNotificationParams, cancelled)
    return server


async def _answer(
    tools: dict[str, Tool[Any]], call: Call, name: str, arguments: dict[str, Any] | None
) -> CallToolResult:
    try:
        if name not in tools:
            raise Unknown(f"there is no tool {name[:64]!r}; you have {', '.join(tools)}")
        text = await tools[name](call, arguments)
    except QueenpostError as exc:
        return _refused(exc)
    except Exception:
        # The outermost handler of a tool call: the model gets a sentence, the log gets the rest.
        reference = uuid4().hex[:12]
        log.exception("tool_failed", tool=name, agent=call.desk.agent, reference=reference)
        return _refused(Internal(f"{name} failed, and not by what you asked; the log has it as {reference}"))
    return CallToolResult(content=[TextContent(text=text)])


def _refused(error: QueenpostError) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=f"{error.code}: {error.message}")], is_error=True)


def _version() -> str:
    try:
        return version(NAME)
    except PackageNotFoundError:  # run from a tree that was never installed
        return "0"
