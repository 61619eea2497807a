"""Claude Code, `--output-format stream-json`: an object a line, told apart by `type` and `subtype`."""

from typing import Any

from console.transcripts.happening import Happening
from console.transcripts.shapes import Record, arguments_of, number_of, object_of, objects_of, sentence, text_of, tokens


def read(record: Record) -> list[Happening] | None:
    """Tell what a line of it says; None where it is not one of its lines."""
    match record.get("type"):
        case "assistant" if "message" in record:
            return _assistant(record)
        case "user" if "message" in record:
            return _user(record)
        case "system" if "subtype" in record:
            return _system(record)
        case "result" if "subtype" in record:
            return [_result(record)]
        case "control_request":
            return _request(object_of(record.get("request")))
        case "control_response" | "control_cancel_request" | "stream_event" | "keep_alive":
            return []
        case _:
            return [] if "session_id" in record and "uuid" in record else None


def _assistant(record: Record) -> list[Happening]:
    blocks = objects_of(object_of(record.get("message")).get("content"))
    if record.get("is_api_error_message"):
        words = " ".join(text_of(block.get("text")) for block in blocks)
        return [Happening("failed", sentence(words, text_of(record.get("error"))))]
    return [happened for block in blocks for happened in _block(block)]


def _block(block: Record) -> list[Happening]:
    match block.get("type"):
        case "text":
            return [Happening("said", text_of(block.get("text")))]
        case "thinking":
            return [Happening("thought", text_of(block.get("thinking")))]
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            return [Happening("called", arguments_of(block.get("input")), text_of(block.get("name")))]
        case "tool_result" | "mcp_tool_result":
            return [Happening("returned", text_of(block.get("content")), bad=block.get("is_error") is True)]
        case _:
            return []


def _user(record: Record) -> list[Happening]:
    content: Any = object_of(record.get("message")).get("content")
    if isinstance(content, str):
        return [Happening("told", content)]
    told: list[Happening] = []
    for block in objects_of(content):
        told += [Happening("told", text_of(block.get("text")))] if block.get("type") == "text" else _block(block)
    return told


def _system(record: Record) -> list[Happening]:
    match record.get("subtype"):
        case "init":
            return [Happening("noted", _introduction(record))]
        case "api_retry":
            return [Happening("noted", _retry(record))]
        case "compact_boundary":
            done = object_of(record.get("compact_metadata"))
            before, after = number_of(done.get("pre_tokens")), number_of(done.get("post_tokens"))
            sizes = f" ({before:,} tokens, now {after:,})" if before is not None and after is not None else ""
            return [Happening("noted", f"its history became a summary{sizes}")]
        case "status" if record.get("compact_error"):
            return [Happening("failed", f"its history could not be made a summary: {text_of(record['compact_error'])}")]
        case _:
            return []


def _introduction(record: Record) -> str:
    servers = objects_of(record.get("mcp_servers"))
    attached = ", ".join(f"{text_of(one.get('name'))} {text_of(one.get('status'))}" for one in servers)
    version = text_of(record.get("claude_code_version"))
    return sentence(
        f"Claude Code {version}".strip(),
        text_of(record.get("model")),
        f"session {text_of(record.get('session_id'))}",
        f"MCP: {attached}" if attached else "no MCP server",
    )


def _retry(record: Record) -> str:
    times = f"{text_of(record.get('attempt'))} of {text_of(record.get('max_retries'))}"
    delay = number_of(record.get("retry_delay_ms"))
    return sentence(
        f"tries again ({times})",
        f"in {delay / 1000:.1f} s" if delay is not None else "",
        text_of(record.get("error")),
        f"status {text_of(record.get('error_status'))}" if record.get("error_status") else "",
    )


def _request(request: Record) -> list[Happening]:
    if request.get("subtype") != "can_use_tool":
        return []
    wanted = f"{text_of(request.get('tool_name'))} {arguments_of(request.get('input'))}"
    return [Happening("noted", f"asks to be allowed: {wanted}")]


def _result(record: Record) -> Happening:
    bad = record.get("is_error") is True or record.get("subtype") != "success"
    usage = object_of(record.get("usage"))
    cost: Any = record.get("total_cost_usd")
    said = sentence(
        text_of(record.get("terminal_reason")) or text_of(record.get("subtype")),
        (text_of(record.get("result")) or text_of(record.get("errors"))) if bad else "",
        tokens(usage.get("input_tokens"), usage.get("output_tokens")),
        f"{cost:.2f} USD in this session" if isinstance(cost, float) else "",
    )
    return Happening("ended", said, bad=bad)
