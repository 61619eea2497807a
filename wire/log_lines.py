"""How a log record reads on one line, for the console of a program and for `queenpost logs` over its files.

Pure: the record is a plain dict as it stands in a file, and may be damaged.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from wire.escaping import escape

_FRAME = frozenset({"time", "level", "program", "logger", "event", "traceback"})
"""What has a place of its own in the line, or none: a traceback is only in the file."""
_PLAIN = re.compile(r"[\w./:@%+*-]+", re.ASCII)
_DIM = "2"
_COLOURS = {"debug": _DIM, "info": "32", "warning": "33", "error": "31", "critical": "31"}


LONGEST_VALUE = 200
"""A line is for a person; the file has all of it."""


def render_line(record: Mapping[str, Any], *, colour: bool, now: datetime) -> str:
    """Give one line without its end: time, level, who, event in words, key=value.

    Times are those of the zone of `now`; the date stands there only if it is another day.
    """
    level = _word(record.get("level", "?"))
    fields = " ".join(
        f"{_paint(_word(key) + '=', _DIM, colour)}{_value(value)}"
        for key, value in record.items()
        if key not in _FRAME and value is not None
    )
    parts = (
        _paint(_time(record.get("time"), now), _DIM, colour),
        _paint(f"{level:<7}", _COLOURS.get(level, ""), colour),
        _who(record),
        _word(record.get("event", "?")).replace("_", " "),
        fields,
    )
    return "  ".join(part for part in parts if part)


def _time(text: object, now: datetime) -> str:
    try:
        at = datetime.fromisoformat(str(text)).astimezone(now.tzinfo)
    except (ValueError, OverflowError):
        return _word(text)
    return at.strftime("%H:%M:%S" if at.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def _who(record: Mapping[str, Any]) -> str:
    names = (record.get("program"), record.get("logger"))
    return ".".join(dict.fromkeys(_word(name) for name in names if name))


def _word(value: object) -> str:
    return " ".join(escape(str(value)).split())


def _value(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    if isinstance(value, list):
        return ",".join(_value(item) for item in cast("list[object]", value)) or "none"
    text = escape(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _paint(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text
