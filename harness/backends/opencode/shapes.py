"""What stands where in the events and answers of opencode. Whatever has another shape than it should reads as empty."""

from typing import Any, cast


def object_of(value: object) -> dict[str, Any]:
    """Give an object, an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def words_of(value: object) -> list[str]:
    """Give the texts of a list."""
    return [item for item in cast("list[object]", value) if isinstance(item, str)] if isinstance(value, list) else []


def whole(value: object) -> int:
    """Give a count, 0 for anything else."""
    return int(value) if isinstance(value, int | float) and value >= 0 else 0


def read_tokens(info: dict[str, Any]) -> int:
    """Give what one answer cost in tokens that went in, those from the cache too."""
    tokens = object_of(info.get("tokens"))
    cache = object_of(tokens.get("cache"))
    return whole(tokens.get("input")) + whole(cache.get("read")) + whole(cache.get("write"))


def written_tokens(info: dict[str, Any]) -> int:
    """Give what one answer cost in tokens that came out, those of thinking too."""
    tokens = object_of(info.get("tokens"))
    return whole(tokens.get("output")) + whole(tokens.get("reasoning"))


def cost_of(info: dict[str, Any]) -> float:
    """Give what one answer cost in dollars."""
    cost = info.get("cost")
    return float(cost) if isinstance(cost, int | float) and cost > 0 else 0.0


def is_worth_keeping(event: dict[str, Any]) -> bool:
    """Say whether an event belongs into a transcript: what is repeated with every word does not."""
    kind = str(event.get("type"))
    if kind == "message.part.updated":
        part = object_of(object_of(event.get("properties")).get("part"))
        state = object_of(part.get("state"))
        running = state.get("status") == "running" and not object_of(state.get("metadata"))
        return part.get("type") != "tool" or running or state.get("status") in ("completed", "error")
    return kind.startswith(("message.updated", "permission.", "question.")) or kind in (
        "session.error",
        "session.status",
        "session.compacted",
    )
