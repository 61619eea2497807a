"""What is wrong with settings, in words and by line, from what pydantic says. It reads no file."""

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from wire.settings import (
    AccountSettings,
    AgentSettings,
    FleetSettings,
    Limits,
    LinkSettings,
    MqttSettings,
    RetentionSettings,
    Settings,
)
from wire.settings_pty import PtyAnswer, PtyFailure, PtySettings
from wire.toml_lines import Where, key_lines, line_of

LATER = frozenset({"notify"})
"""Tables and keys that the documentation names and this version does not know yet."""
TABLES: dict[str, type[BaseModel]] = {
    "fleet": FleetSettings,
    "limits": Limits,
    "retention": RetentionSettings,
    "link": LinkSettings,
    "mqtt": MqttSettings,
}
_KINDS = {
    "string_type": 'text in "quotes"',
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list in [brackets]",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def in_words(exc: ValidationError, path: Path, text: str) -> str:
    """Give one line per error, as `file:line: key: why`, in the order of the file."""
    lines = key_lines(text)
    found = sorted((_line(error, lines), _error(error)) for error in exc.errors(include_url=False))
    return "\n".join(f"{path}:{line}: {words}" if line else f"{path}: {words}" for line, words in found)


def _line(error: ErrorDetails, lines: dict[Where, int]) -> int:
    where = error["loc"]
    if not where:  # about the whole: the place is in the words
        return max((line for known, line in lines.items() if _is_named(known, error["msg"])), default=0)
    return line_of(lines, where) or 0


def _is_named(where: Where, words: str) -> bool:
    match where:
        case ("agents", str(name)):
            return repr(name) in words or name in words.rpartition(": ")[2].split(", ")
        case ("agents", _, *_):
            return _dotted(where) in words.split()
        case _:
            return False


def _error(error: ErrorDetails) -> str:
    where = error["loc"]
    if not where:
        return _why(error)
    if where[-1] == "[key]":
        return f"{_dotted(where[:-1])}: no name for an agent: lower-case letters, digits and '-', at most 31"
    return f"{_dotted(where)}: {_why(error)}"


def _dotted(where: Where) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return "".join(parts).removeprefix(".")


def _why(error: ErrorDetails) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(error["loc"])
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return _not_one_of(error["input"], context["expected"])
        case "string_pattern_mismatch":
            return f"has to look like {context['pattern']}{_but(error)}"
        case kind if kind in _KINDS:
            return f"has to be {_KINDS[kind]}{_but(error)}"
        case kind if kind in _BOUNDS:
            words, key = _BOUNDS[kind]
            return f"has to be {words} {context[key]}{_but(error)}"
        case _:
            return f"{error['msg'][:1].lower()}{error['msg'][1:]}{_but(error)}"


def _unknown_key(where: Where) -> str:
    key = str(where[-1])
    if key in LATER:
        return "not supported by this version"
    return f"unknown key{_did_you_mean(key, _known(where[:-1]))}"


def _known(table: Where) -> Iterable[str]:
    match table:
        case ():
            return Settings.model_fields
        case ("agents", _, "pty", "answers", *_):
            return PtyAnswer.model_fields
        case ("agents", _, "pty", "failures", *_):
            return PtyFailure.model_fields
        case ("agents", _, "pty", *_):
            return PtySettings.model_fields
        case ("agents", *_):
            return AgentSettings.model_fields
        case ("accounts", *_):
            return AccountSettings.model_fields
        case (str(name), *_):
            return TABLES[name].model_fields
        case _:
            return ()


def _not_one_of(value: object, expected: str) -> str:
    allowed = re.findall(r"'([^']*)'", expected)
    return f"{_short(value)} is not possible; use {expected}{_did_you_mean(str(value), allowed)}"


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _but(error: ErrorDetails) -> str:
    """Give the value as it was written; one for an environment may be secret."""
    return "" if "env" in error["loc"] else f", not {_short(error['input'])}"


def _short(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
