"""Google's generateContent API, as Gemini CLI speaks it."""

import json
import re
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
    texts,
)
from tests.fakes.models.talk import Failing, Failure, Reply, Tool, ToolResult, Usage

_MODEL = re.compile(r"models/([^/:]+):")
_STOPS = {"end": "STOP", "max_tokens": "MAX_TOKENS", "refusal": "PROHIBITED_CONTENT"}
_CONTEXT = "<session_context>"
_SUMMARY = "<state_snapshot>"

_REFUSALS: dict[Failing, tuple[int, str, str]] = {
    "bad_key": (401, "UNAUTHENTICATED", "API key not valid. Please pass a valid API key."),
    "forbidden": (403, "PERMISSION_DENIED", "The caller does not have permission"),
    "no_model": (404, "NOT_FOUND", "models/no-such-model is not found for API version v1beta"),
    "credit": (
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "context": (
        400,
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "rate_limit": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "quota": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota; it is a daily one."),
    "broken": (500, "INTERNAL", "An internal error has occurred."),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
}


class Gemini:
    """See `dialect.Dialect`."""

    name = "gemini"

    def __init__(self, servers: Sequence[str]) -> None:
        self._servers = servers
        """MCP servers by name: `mcp_queenpost_recv_batch` alone does not tell where its server's name ends."""

    def read(self, body: Json, path: str) -> Asked:
        """Sort the contents; whether it streams stands in the path."""
        contents = items(body.get("contents"))
        answered = [place for place, content in enumerate(contents) if content.get("role") == "model"]
        since = answered[-1] + 1 if answered else 0
        prompts = [(place, prompt) for place, content in enumerate(contents) if (prompt := _prompt(content))]
        newest, prompt = prompts[-1] if prompts else (-1, "")
        tools = frozenset(self._tools(body))
        model = _MODEL.search(path)
        system = joined(texts(body.get("systemInstruction", Json()).get("parts")))
        return Asked(
            model=model[1] if model else "",
            stream=":stream" in path,
            prompt=prompt,
            fresh=newest >= since,
            results=tuple(self._results(contents[since:])),
            notes=tuple(note for content in contents[since:] for note in _notes(content)),
            answers=len(answered),
            tools=tools,
            servers=servers_of(tools),
            system=system,
            purpose="turn" if _SUMMARY not in system else "summary",
        )

    def stream(self, reply: Reply, asked: Asked) -> list[bytes]:
        """Give a part at a time, and behind them the reason to stop and the usage."""
        whole = self.whole(reply, asked)
        (candidate,) = whole["candidates"]
        pieces = [
            {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}], "modelVersion": asked.model}
            for part in candidate["content"]["parts"]
        ]
        ended = {**candidate, "content": {"role": "model", "parts": [{"text": ""}]}}
        return [event(piece) for piece in [*pieces, {**whole, "candidates": [ended]}]]

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """Give a response with one candidate."""
        parts: list[Json] = [{"text": reply.text}] if reply.text else []
        for call in reply.calls:
            name = self._name(call.tool)
            parts.append({"functionCall": {"id": fresh_id("fc"), "name": name, "args": dict(call.arguments)}})
        content = {"role": "model", "parts": parts}
        return {
            "candidates": [{"content": content, "finishReason": _STOPS[reply.stop], "index": 0}],
            "usageMetadata": _usage(reply.usage),
            "modelVersion": asked.model,
            "responseId": fresh_id("resp"),
        }

    def refuse(self, failure: Failure) -> Refusal:
        """Give an error object; how long to wait stands in its details."""
        code, status, words = _REFUSALS[failure.kind]
        error: Json = {"code": code, "message": failure.words or words, "status": status}
        if failure.kind == "quota":
            violation = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "100"}
            error["details"] = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}]
        elif failure.retry_after_s is not None:
            delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{failure.retry_after_s}s"}
            error["details"] = [delay]
        return Refusal(code, {"error": error}, retry_after(failure))

    def _name(self, tool: Tool) -> str:
        return tool.name if tool.server is None else f"mcp_{tool.server}_{tool.name}"

    def _tool(self, name: str) -> Tool:
        server = next((server for server in self._servers if name.startswith(f"mcp_{server}_")), None)
        return Tool(name, None) if server is None else Tool(name.removeprefix(f"mcp_{server}_"), server)

    def _tools(self, body: Json) -> list[Tool]:
        return [
            self._tool(str(declared["name"]))
            for group in items(body.get("tools"))
            for declared in items(group.get("functionDeclarations"))
        ]

    def _results(self, contents: list[Json]) -> list[ToolResult]:
        answers = [part["functionResponse"] for content in contents for part in _parts(content, "functionResponse")]
        return [ToolResult(self._tool(str(one["name"])), *_outcome(one.get("response", {}))) for one in answers]


def _parts(content: Json, kind: str) -> list[Json]:
    return [part for part in items(content.get("parts")) if kind in part]


def _prompt(content: Json) -> str:
    if content.get("role") != "user":
        return ""
    return joined(text for text in texts(content.get("parts")) if not text.lstrip().startswith(_CONTEXT))


def _notes(content: Json) -> list[str]:
    return [text for text in texts(content.get("parts")) if text.lstrip().startswith(_CONTEXT)]


def _outcome(response: Json) -> tuple[str, bool]:
    """Give the text of a result, and whether it is an error."""
    held = response.get("output", response.get("error", response))
    return held if isinstance(held, str) else json.dumps(held), "error" in response


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "promptTokenCount": usage.input,
        "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": usage.output,
        "totalTokenCount": usage.input + usage.output,
    }
