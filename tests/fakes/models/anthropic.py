"""Anthropic's Messages API, as Claude Code speaks it."""

import json
import re
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
from tests.fakes.models.talk import Failing, Failure, Reply, Tool, ToolResult, Usage

_REMINDER = "<system-reminder>"
_MCP_NAME = re.compile(r"mcp__(\w+?)__(\w+)")
_SUMMARY = "Your task is to create a detailed summary of"

_REFUSALS: dict[Failing, tuple[int, str, str]] = {
    "bad_key": (401, "authentication_error", "invalid x-api-key"),
    "forbidden": (403, "permission_error", "Your organization does not have access to Claude."),
    "no_model": (404, "not_found_error", "model: no-such-model"),
    "credit": (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
    ),
    "context": (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    "rate_limit": (429, "rate_limit_error", "This request would exceed your account's rate limit."),
    "quota": (429, "rate_limit_error", "This request would exceed your account's rate limit."),
    "broken": (500, "api_error", "Internal server error"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
}
_STOPS = {"end": "end_turn", "max_tokens": "max_tokens", "refusal": "refusal"}


class Anthropic:
    """See `dialect.Dialect`."""

    name = "anthropic"

    def read(self, body: Json, path: str) -> Asked:
        """Sort the messages: the program's own words come as role `system`, or as reminders among the user's."""
        messages = items(body.get("messages"))
        answered = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        since = answered[-1] + 1 if answered else 0
        prompts = [(place, prompt) for place, message in enumerate(messages) if (prompt := _prompt(message))]
        tools = frozenset(_tools(body, messages))
        newest, prompt = prompts[-1] if prompts else (-1, "")
        return Asked(
            model=str(body.get("model")),
            stream=body.get("stream") is True,
            prompt=prompt,
            fresh=newest >= since,
            results=tuple(_results(messages, since)),
            notes=tuple(note for message in messages[since:] for note in _notes(message)),
            answers=len(answered),
            tools=tools,
            servers=servers_of(tools),
            system=joined(texts(body.get("system"))),
            purpose="summary" if _SUMMARY in prompt else "turn",
        )

    def stream(self, reply: Reply, asked: Asked) -> list[bytes]:
        """Give a message in its pieces."""
        message = self.whole(reply, asked)
        blocks: list[Json] = message["content"]
        opened: Json = {
            **message,
            "content": [],
            "stop_reason": None,
            "usage": {**message["usage"], "output_tokens": 1},
        }
        last = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        events: list[Json] = [
            {"type": "message_start", "message": opened},
            *(piece for place, block in enumerate(blocks) for piece in _pieces(place, block)),
            {"type": "message_delta", "delta": last, "usage": {"output_tokens": reply.usage.output}},
            {"type": "message_stop"},
        ]
        return [event(one, str(one["type"])) for one in events]

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """Give a message."""
        blocks: list[Json] = [{"type": "text", "text": reply.text}] if reply.text else []
        for call in reply.calls:
            block = {"type": "tool_use", "id": fresh_id("toolu"), "name": _name(call.tool)}
            blocks.append({**block, "input": dict(call.arguments)})
        return {
            "id": fresh_id("msg"),
            "type": "message",
            "role": "assistant",
            "model": asked.model,
            "content": blocks,
            "stop_reason": "tool_use" if reply.calls else _STOPS[reply.stop],
            "stop_sequence": None,
            "usage": _usage(reply.usage),
        }

    def refuse(self, failure: Failure) -> Refusal:
        """Give an error object."""
        status, kind, words = _REFUSALS[failure.kind]
        error = {"type": kind, "message": failure.words or words}
        headers = {**(_used_up(failure.resets_at_s) if failure.kind == "quota" else {}), **retry_after(failure)}
        return Refusal(status, {"type": "error", "error": error, "request_id": fresh_id("req")}, headers)


def count_tokens(body: Json) -> Json:
    """Guess as people do: four characters are a token."""
    return {"input_tokens": len(json.dumps(body)) // 4}


def _used_up(resets_at_s: int) -> dict[str, str]:
    """Give the headers of a subscription; Claude Code minds them when it is logged in with one (an OAuth token)."""
    window = {"status": "rejected", "reset": str(resets_at_s)}
    said = {
        "representative-claim": "five_hour",
        **window,
        **{f"5h-{name}": value for name, value in {**window, "utilization": "1.0"}.items()},
    }
    return {f"anthropic-ratelimit-unified-{name}": value for name, value in said.items()}


def _name(tool: Tool) -> str:
    return tool.name if tool.server is None else f"mcp__{tool.server}__{tool.name}"


def _tool(name: str) -> Tool:
    found = _MCP_NAME.fullmatch(name)
    return Tool(found[2], found[1]) if found else Tool(name, None)


def _prompt(message: Json) -> str:
    """Give what the user said in a message, without what the program says through it."""
    if message["role"] != "user":
        return ""
    return joined(text for text in texts(message["content"]) if not text.lstrip().startswith(_REMINDER))


def _notes(message: Json) -> list[str]:
    said = texts(message["content"])
    if message["role"] == "system":
        return said
    return [text for text in said if text.lstrip().startswith(_REMINDER)]


def _tools(body: Json, messages: list[Json]) -> list[Tool]:
    offered = [_tool(str(tool["name"])) for tool in items(body.get("tools"))]
    # Deferred ones are listed by name only, in the program's own words.
    told = (note for message in messages for note in _notes(message))
    return [*offered, *(Tool(found[2], found[1]) for note in told for found in _MCP_NAME.finditer(note))]


def _results(messages: list[Json], since: int) -> list[ToolResult]:
    calls = {
        str(block["id"]): _tool(str(block["name"]))
        for message in messages
        for block in items(message["content"])
        if block.get("type") == "tool_use"
    }
    return [
        ToolResult(calls[str(block["tool_use_id"])], spoken(block.get("content", "")), block.get("is_error") is True)
        for message in messages[since:]
        for block in items(message["content"])
        if block.get("type") == "tool_result"
    ]


def _pieces(place: int, block: Json) -> list[Json]:
    if block["type"] == "text":
        empty: Json = {"type": "text", "text": ""}
        delta: Json = {"type": "text_delta", "text": block["text"]}
    else:
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    return [
        {"type": "content_block_start", "index": place, "content_block": empty},
        {"type": "content_block_delta", "index": place, "delta": delta},
        {"type": "content_block_stop", "index": place},
    ]


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }
