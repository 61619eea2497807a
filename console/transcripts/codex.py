"""Codex: the events of `codex exec --json`, and the notifications of `codex app-server`, whose items are alike.

The server writes the names of kinds and fields in camel case, `exec` with underscores.
"""

import re

from console.transcripts.happening import Happening, Kind
from console.transcripts.shapes import Record, arguments_of, number_of, object_of, objects_of, sentence, text_of, tokens

WORDS: dict[str, Kind] = {"agent_message": "said", "reasoning": "thought", "user_message": "told", "error": "failed"}
"""Items that are no more than words."""


def read(record: Record) -> list[Happening] | None:
    """Tell what a line of it says; None where it is not one of its lines."""
    if isinstance(record.get("method"), str):
        return _notification(record["method"], object_of(record.get("params")))
    if "id" in record and ("result" in record or "error" in record) and "type" not in record:
        error = object_of(record.get("error"))
        return [Happening("failed", text_of(error.get("message")))] if error else []
    return _event(record)


def _event(record: Record) -> list[Happening] | None:
    match record.get("type"):
        case "thread.started":
            return [Happening("noted", f"Codex, session {text_of(record.get('thread_id'))}")]
        case "item.started":
            return _begun(object_of(record.get("item")))
        case "item.completed":
            return _done(object_of(record.get("item")))
        case "turn.completed":
            usage = object_of(record.get("usage"))
            spent = tokens(usage.get("input_tokens"), usage.get("output_tokens"))
            return [Happening("ended", sentence("completed", f"{spent} in this session" if spent else ""))]
        case "turn.failed":
            words = text_of(object_of(record.get("error")).get("message"))
            return [Happening("ended", sentence("failed", words), bad=True)]
        case "error" if isinstance(record.get("message"), str) and "severity" not in record:
            return [Happening("failed", record["message"])]
        case "turn.started" | "item.updated":
            return []
        case _:
            return None


def _notification(method: str, params: Record) -> list[Happening]:
    match method:
        case "thread/started":
            return [Happening("noted", f"Codex, session {text_of(object_of(params.get('thread')).get('id'))}")]
        case "item/started":
            return _begun(object_of(params.get("item")))
        case "item/completed":
            return _done(object_of(params.get("item")))
        case "turn/completed":
            return [_ended(object_of(params.get("turn")))]
        case "error":
            words = text_of(object_of(params.get("error")).get("message"))
            again = params.get("willRetry") is True
            return [Happening("noted", f"tries again: {words}") if again else Happening("failed", words)]
        case "mcpServer/elicitation/request":
            return [Happening("noted", f"asks: {text_of(params.get('message'))}")]
        case _ if method.endswith("equestApproval"):
            wanted = text_of(params.get("command")) or text_of(params.get("reason")) or method
            return [Happening("noted", f"asks to be allowed: {wanted}")]
        case _:
            return []


def _ended(turn: Record) -> Happening:
    status = text_of(turn.get("status")) or "completed"
    words = text_of(object_of(turn.get("error")).get("message"))
    return Happening("ended", sentence(status, words), bad=status != "completed")


def _begun(item: Record) -> list[Happening]:
    match _plain(item.get("type")):
        case "command_execution":
            return [Happening("called", text_of(item.get("command")), "shell")]
        case "mcp_tool_call":
            name = ".".join(part for part in (text_of(item.get("server")), text_of(item.get("tool"))) if part)
            return [Happening("called", arguments_of(item.get("arguments")), name)]
        case "web_search":
            return [Happening("called", text_of(item.get("query")), "web search")]
        case _:
            return []


def _done(item: Record) -> list[Happening]:
    kind = _plain(item.get("type"))
    if kind in WORDS:
        texts = (text_of(item.get(name)) for name in ("text", "summary", "content", "message"))
        return [Happening(WORDS[kind], next((text for text in texts if text), ""))]
    match kind:
        case "command_execution":
            code = number_of(item.get("exit_code", item.get("exitCode")))
            output = text_of(item.get("aggregated_output", item.get("aggregatedOutput")))
            return [Happening("returned", output if not code else f"exit {code}: {output}", bad=bool(code))]
        case "mcp_tool_call":
            return [_returned(item)]
        case "file_change":
            paths = ", ".join(text_of(change.get("path")) for change in objects_of(item.get("changes")))
            return [Happening("called", paths, "change of files")]
        case "context_compaction":
            return [Happening("noted", "its history became a summary")]
        case _:
            return []


def _returned(item: Record) -> Happening:
    error = item.get("error")
    if error:
        return Happening("returned", text_of(object_of(error).get("message")) or text_of(error), bad=True)
    result = object_of(item.get("result"))
    bad = result.get("is_error") is True or result.get("isError") is True or item.get("status") == "failed"
    return Happening("returned", text_of(result.get("content")), bad=bad)


def _plain(kind: object) -> str:
    return re.sub(r"(?<=[a-z])[A-Z]", lambda match: f"_{match[0].lower()}", kind) if isinstance(kind, str) else ""
