"""What stands where in the lines of Claude Code. Whatever has another shape than it should reads as empty."""

import json
from typing import Any, cast

CONFIRMING = frozenset({"command_lifecycle", "control_response"})
CONFIRMING_BYTES = 4096
"""Some of them; more at once is something else, and not looked at twice."""


def object_of(value: object) -> dict[str, Any]:
    """Give an object, an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def objects_of(value: object) -> list[dict[str, Any]]:
    """Give the objects of a list."""
    return [object_of(item) for item in cast("list[object]", value)] if isinstance(value, list) else []


def whole(value: object) -> int:
    """Give a count, 0 for anything else."""
    return value if isinstance(value, int) and value >= 0 else 0


def is_answer(message: dict[str, Any]) -> bool:
    """Say whether the model spoke: errors of the API come as `assistant` too."""
    said = object_of(message.get("message")).get("model") != "<synthetic>"
    return said and not message.get("is_api_error_message") and not message.get("error")


def tools_of(message: dict[str, Any]) -> list[str]:
    """Give the names of the tools that an answer calls."""
    content = objects_of(object_of(message.get("message")).get("content"))
    return [str(block.get("name")) for block in content if block.get("type") == "tool_use"]


def confirms(data: bytes) -> bool:
    """Say whether all of this only confirms lines of ours: that they were queued, that an interrupt was heard."""
    if len(data) > CONFIRMING_BYTES or not data.endswith(b"\n"):
        return False
    try:
        lines = [object_of(json.loads(line)) for line in data.splitlines()]
    except (ValueError, RecursionError):
        return False
    return all(line.get("type") in CONFIRMING for line in lines)


def server_status(message: dict[str, Any], server: str) -> str:
    """Give what the program says of an MCP server at the beginning of a turn."""
    found = (one.get("status") for one in objects_of(message.get("mcp_servers")) if one.get("name") == server)
    return str(next(found, "missing"))


def lacking_servers(message: dict[str, Any], ours: str) -> dict[str, str]:
    """Give the other MCP servers that are not attached, each with what the program says of it; one may still begin."""
    found = {str(one.get("name")): str(one.get("status")) for one in objects_of(message.get("mcp_servers"))}
    return {name: status for name, status in found.items() if name != ours and status not in ("connected", "pending")}


def reset_of(message: dict[str, Any]) -> int | None:
    """Give when a quota that is used up is there again, in ms of the wall clock; None where it says nothing of it."""
    info = object_of(message.get("rate_limit_info"))
    at_s = whole(info.get("resetsAt"))
    return at_s * 1000 if info.get("status") == "rejected" and at_s else None
