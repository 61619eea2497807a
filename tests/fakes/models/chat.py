"""OpenAI's chat completions API, as opencode speaks it. It puts server and tool into one name with one underscore."""

import json
import time
from collections.abc import Sequence
from typing import Any

from tests.fakes.models.dialect import (
    Asked,
    Json,
    Refusal,
    event,
    fresh_id,
    items,
    joined,
    retry_after,
    servers_of,
    spoken,
    texts,
)
from tests.fakes.models.openai_errors import refuse
from tests.fakes.models.talk import Failure, Purpose, Reply, Tool, ToolCall, ToolResult, Usage

_STOPS = {"end": "stop", "max_tokens": "length", "refusal": "content_filter"}


class Chat:
    """See `dialect.Dialect`."""

    name = "chat"

    def __init__(self, servers: Sequence[str]) -> None:
        self._servers = servers
        """MCP servers by name: `queenpost_recv_batch` alone does not tell where its server's name ends."""

    def read(self, body: Json, path: str) -> Asked:
        """Sort the messages."""
        messages = items(body.get("messages"))
        answered = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        since = answered[-1] + 1 if answered else 0
        users = [(place, message) for place, message in enumerate(messages) if message["role"] == "user"]
        newest, last = users[-1] if users else (-1, Json())
        system = joined(text for message in messages if message["role"] == "system" for text in _said(message))
        tools = frozenset(self._tool(str(tool["function"]["name"])) for tool in items(body.get("tools")))
        return Asked(
            model=str(body.get("model")),
            stream=body.get("stream") is True,
            prompt=joined(_said(last)),
            fresh=newest >= since,
            results=tuple(self._results(messages, since)),
            notes=(),
            answers=len(answered),
            tools=tools,
            servers=servers_of(tools),
            system=system,
            purpose="turn" if tools else _aside(system),
        )

    def stream(self, reply: Reply, asked: Asked) -> list[bytes]:
        """Give chunks; the last one holds the usage."""
        head = {"id": fresh_id("chatcmpl"), "object": "chat.completion.chunk", "created": int(time.time())}
        head = {**head, "model": asked.model}
        calls = [{"index": place, **_call(self._name(call.tool), call)} for place, call in enumerate(reply.calls)]
        deltas: list[tuple[Json, str | None]] = [
            ({"role": "assistant", "content": ""}, None),
            *([({"content": reply.text}, None)] if reply.text else []),
            *(({"tool_calls": [call]}, None) for call in calls),
            ({}, _finish(reply)),
        ]
        chunks: list[Json] = [
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} for delta, finish in deltas
        ]
        chunks.append({**head, "choices": [], "usage": _usage(reply.usage)})
        return [*(event(chunk) for chunk in chunks), b"data: [DONE]\n\n"]

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """Give a completion."""
        message: Json = {"role": "assistant", "content": reply.text or None}
        if reply.calls:
            message["tool_calls"] = [_call(self._name(call.tool), call) for call in reply.calls]
        return {
            "id": fresh_id("chatcmpl"),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": asked.model,
            "choices": [{"index": 0, "message": message, "finish_reason": _finish(reply)}],
            "usage": _usage(reply.usage),
        }

    def refuse(self, failure: Failure) -> Refusal:
        """Give an error object."""
        status, error = refuse(failure)
        return Refusal(status, {"error": error}, retry_after(failure))

    def _name(self, tool: Tool) -> str:
        return tool.name if tool.server is None else f"{tool.server}_{tool.name}"

    def _tool(self, name: str) -> Tool:
        server = next((server for server in self._servers if name.startswith(f"{server}_")), None)
        return Tool(name, None) if server is None else Tool(name.removeprefix(f"{server}_"), server)

    def _results(self, messages: list[Json], since: int) -> list[ToolResult]:
        calls = {
            str(call["id"]): self._tool(str(call["function"]["name"]))
            for message in messages
            for call in items(message.get("tool_calls"))
        }
        return [
            ToolResult(calls[str(message["tool_call_id"])], spoken(message.get("content", "")))
            for message in messages[since:]
            if message["role"] == "tool"
        ]


def _said(message: Json) -> list[str]:
    return texts(message.get("content"))


def _aside(system: str) -> Purpose:
    """Tell the requests apart that come without tools."""
    return "title" if "title" in system.lower() else "summary"


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.calls else _STOPS[reply.stop]


def _call(name: str, call: ToolCall) -> Json:
    function = {"name": name, "arguments": json.dumps(dict(call.arguments))}
    return {"id": fresh_id("call"), "type": "function", "function": function}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
