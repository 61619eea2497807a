"""OpenAI's Responses API, as Codex speaks it."""

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
from tests.fakes.models.openai_errors import refuse
from tests.fakes.models.talk import Failure, Reply, Tool, ToolCall, ToolResult, Usage

_PREFIX = "mcp__"
_DEFERRED = re.compile(rf"^- {_PREFIX}([\w-]+)", re.MULTILINE)
_CONTEXT = ("<environment_context>", "<user_instructions>", "# AGENTS.md instructions", "<skills_instructions>")
"""How messages begin that the program writes in the user's name."""
_ANSWERED = {"function_call", "custom_tool_call", "tool_search_call", "local_shell_call", "reasoning"}
_SUMMARY = "CONTEXT CHECKPOINT COMPACTION"
_INCOMPLETE = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}


class Responses:
    """See `dialect.Dialect`."""

    name = "responses"

    def read(self, body: Json, path: str) -> Asked:
        """Sort the items: calls, results and messages stand in one list."""
        listed = items(body.get("input"))
        answered = [place for place, item in enumerate(listed) if _is_answer(item)]
        since = answered[-1] + 1 if answered else 0
        prompts = [(place, prompt) for place, item in enumerate(listed) if (prompt := _prompt(item))]
        tools = frozenset(_tools(items(body.get("tools"))))
        newest, prompt = prompts[-1] if prompts else (-1, "")
        return Asked(
            model=str(body.get("model")),
            stream=body.get("stream") is True,
            prompt=prompt,
            fresh=newest >= since,
            results=tuple(_results(listed, since)),
            notes=tuple(note for item in listed[since:] for note in _notes(item)),
            answers=len(answered),
            tools=tools,
            servers=servers_of(tools) | _deferred(listed),
            system=str(body.get("instructions", "")),
            purpose="summary" if _SUMMARY in prompt else "turn",
        )

    def stream(self, reply: Reply, asked: Asked) -> list[bytes]:
        """Give a response in its pieces."""
        response = self.whole(reply, asked)
        events: list[Json] = [{"type": "response.created", "response": {**response, "status": "in_progress"}}]
        for place, item in enumerate(response["output"]):
            events.append({"type": "response.output_item.added", "output_index": place, "item": _opened(item)})
            for text in texts(item.get("content")):
                delta = {"type": "response.output_text.delta", "output_index": place, "content_index": 0}
                events.append({**delta, "item_id": item["id"], "delta": text})
            events.append({"type": "response.output_item.done", "output_index": place, "item": item})
        events.append({"type": f"response.{response['status']}", "response": response})
        return [event(one, str(one["type"])) for one in events]

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """Give a response."""
        incomplete = _INCOMPLETE.get(reply.stop)
        return {
            "id": fresh_id("resp"),
            "object": "response",
            "model": asked.model,
            "status": "incomplete" if incomplete else "completed",
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "output": [*([_message(reply.text)] if reply.text else []), *(_call(call) for call in reply.calls)],
            "usage": _usage(reply.usage),
        }

    def refuse(self, failure: Failure) -> Refusal:
        """Give an error object."""
        status, error = refuse(failure)
        return Refusal(status, {"error": error}, retry_after(failure))


def _is_answer(item: Json) -> bool:
    return item.get("type") in _ANSWERED or item.get("role") == "assistant"


def _prompt(item: Json) -> str:
    if item.get("role") != "user":
        return ""
    return joined(text for text in texts(item.get("content")) if not text.lstrip().startswith(_CONTEXT))


def _notes(item: Json) -> list[str]:
    said = texts(item.get("content"))
    if item.get("role") in {"developer", "system"}:
        return said
    return [text for text in said if item.get("role") == "user" and text.lstrip().startswith(_CONTEXT)]


def _tool(name: str, namespace: object = None) -> Tool:
    if isinstance(namespace, str) and namespace.startswith(_PREFIX):
        return Tool(name, namespace.removeprefix(_PREFIX))
    return Tool(name, None)


def _tools(listed: list[Json]) -> list[Tool]:
    """Give the tools on offer; a namespace holds those of an MCP server, unless they are deferred."""
    found: list[Tool] = []
    for tool in listed:
        if tool.get("type") == "namespace":
            found += [_tool(str(inner["name"]), tool["name"]) for inner in items(tool.get("tools"))]
        else:
            found.append(Tool(str(tool.get("name", tool.get("type"))), None))
    return found


def _deferred(listed: list[Json]) -> frozenset[str]:
    notes = joined(note for item in listed for note in _notes(item))
    return frozenset(_DEFERRED.findall(notes))


def _results(listed: list[Json], since: int) -> list[ToolResult]:
    calls = {
        str(item["call_id"]): _tool(str(item.get("name", item["type"])), item.get("namespace"))
        for item in listed
        if item.get("call_id") is not None and _is_answer(item)
    }
    return [
        ToolResult(calls[str(item["call_id"])], spoken(item.get("output", item.get("tools", ""))))
        for item in listed[since:]
        if item.get("call_id") is not None and not _is_answer(item)
    ]


def _message(text: str) -> Json:
    content: list[Json] = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": fresh_id("msg"), "role": "assistant", "status": "completed", "content": content}


def _call(call: ToolCall) -> Json:
    namespace = {} if call.tool.server is None else {"namespace": f"{_PREFIX}{call.tool.server}"}
    item = {"type": "function_call", "id": fresh_id("fc"), "call_id": fresh_id("call"), "status": "completed"}
    return {**item, **namespace, "name": call.tool.name, "arguments": json.dumps(dict(call.arguments))}


def _opened(item: Json) -> Json:
    emptied: Json = {"content": []} if "content" in item else {"arguments": ""}
    return {**item, **emptied, "status": "in_progress"}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }
