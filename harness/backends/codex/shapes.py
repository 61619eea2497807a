"""What stands where in the lines of Codex. Whatever has another shape than it should reads as empty."""

from typing import Any, cast

TOOLS = {
    "commandExecution": "exec_command",
    "command_execution": "exec_command",
    "fileChange": "apply_patch",
    "file_change": "apply_patch",
    "webSearch": "web_search",
    "web_search": "web_search",
    "imageView": "view_image",
    "imageGeneration": "image_generation",
    "collabAgentToolCall": "spawn_agent",
}
"""Items that are a use of a tool, and what the tool is called; the app-server writes names its way, `exec` another."""

MCP_CALLS = ("mcpToolCall", "mcp_tool_call")
OURS = ("userMessage", "hookPrompt")
"""Items that are not the model's: what it was told."""
COMPACTION = "contextCompaction"
"""The history becomes a summary."""


def object_of(value: object) -> dict[str, Any]:
    """Give an object, an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def objects_of(value: object) -> list[dict[str, Any]]:
    """Give the objects of a list."""
    return [object_of(item) for item in cast("list[object]", value)] if isinstance(value, list) else []


def text_of(value: object) -> str:
    """Give a text, an empty one for anything else."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int:
    """Give a count, 0 for anything else."""
    return value if isinstance(value, int) and value >= 0 else 0


def tool_of(item: dict[str, Any]) -> str | None:
    """Give the name of the tool that an item uses; None where it uses none."""
    kind = text_of(item.get("type"))
    if kind in MCP_CALLS:
        return f"mcp__{item.get('server')}__{item.get('tool')}"
    if kind == "dynamicToolCall":
        return text_of(item.get("tool")) or kind
    return TOOLS.get(kind)


def is_alive(message: dict[str, Any]) -> bool:
    """Say whether a line of the app-server tells that work goes on; echoes and book-keeping come of a nudge, too."""
    method, params = text_of(message.get("method")), object_of(message.get("params"))
    if not method.startswith(("item/", "turn/", "hook/", "error", "mcpServer/elicitation")):
        return False
    return object_of(params.get("item")).get("type") not in OURS


def is_answer(item: dict[str, Any]) -> bool:
    """Say whether an item comes from the model, and is more than a summary of what was said before."""
    return bool(item.get("type")) and item.get("type") not in (*OURS, COMPACTION)
