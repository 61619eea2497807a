"""A log event is a constant in snake_case; what varies is a keyword."""

import ast
import re
from pathlib import Path

from tests.architecture.tree import name_of, parsed, product_files

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
EVENT = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


def test_log_events_are_constants() -> None:
    """Ours: `log.info("turn_opened", turn_id=…)`; a log can then be searched by event."""
    found = [
        f"{name_of(path)}:{call.lineno}"
        for path in product_files()
        for call in _log_calls(path)
        if not (call.args and isinstance(call.args[0], ast.Constant) and _is_event(call.args[0].value))
    ]
    assert not found


def test_nothing_but_the_event_is_positional() -> None:
    """Ours: data are keywords, so that each has a name in the file."""
    found = [
        f"{name_of(path)}:{call.lineno}" for path in product_files() for call in _log_calls(path) if len(call.args) > 1
    ]
    assert not found


def _log_calls(path: Path) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and isinstance(node.func.value, ast.Name | ast.Attribute)
        and (node.func.value.id if isinstance(node.func.value, ast.Name) else node.func.value.attr)
        in {"log", "_log", "logger"}
    ]


def _is_event(value: object) -> bool:
    return isinstance(value, str) and EVENT.fullmatch(value) is not None
