"""Reading JSON that may have any shape: what is not as expected is empty, never an error."""

import json
from typing import Any, cast

Record = dict[str, Any]

DEEPEST = "(nested too deeply to show)"


def record_of(line: str) -> Record | None:
    """Read a line that is a JSON object; None where it is none."""
    if not line.startswith("{"):
        return None
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("Record", value) if isinstance(value, dict) else None


def object_of(value: Any) -> Record:
    """Give an object as it is, anything else as an empty one."""
    return cast("Record", value) if isinstance(value, dict) else {}


def objects_of(value: Any) -> list[Record]:
    """Give the objects of a list."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Record", item) for item in items if isinstance(item, dict)]


def text_of(value: Any) -> str:
    """Give a text as it is, blocks of text joined, nothing as nothing, and all else as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(_text_of_block(block) for block in cast("list[Any]", value))
    return json_of(value)


def _text_of_block(block: Any) -> str:
    text = object_of(block).get("text")
    if isinstance(text, str):
        return text
    return block if isinstance(block, str) else json_of(block)


def json_of(value: Any) -> str:
    """Write a value as JSON on one line."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return DEEPEST


def arguments_of(value: Any) -> str:
    """Write the arguments of a call as a reader likes them: `to="bob" body="…"`."""
    if not isinstance(value, dict):
        return text_of(value)
    return " ".join(f"{name}={json_of(given)}" for name, given in cast("Record", value).items())


def number_of(value: Any) -> int | None:
    """Give a whole number, None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def tokens(read: Any, written: Any) -> str:
    """Say how many tokens went in and out, as far as both are known."""
    into, out = number_of(read), number_of(written)
    return "" if into is None or out is None else f"{into:,} tokens in, {out:,} out"


def sentence(*parts: str) -> str:
    """Join what there is to say."""
    return ", ".join(part for part in parts if part)
