"""Our server in the TOML of a client: one table. Comments, order and everything else in the file stay.

A file in which our table stands in another form (inline, dotted) is not edited.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.mcp_install.json_config import NAME, OTHER_WAYS
from console.mcp_install.refusals import NotEditable

ANOTHER_FORM = "our server stands in it in a form that is not edited here; take it out by hand, and put in its place:"

_LINE = re.compile(r" ?\(at line (\d+)")


@dataclass(frozen=True, slots=True)
class _Part:
    """Lines of the file that belong together."""

    start: int
    end: int
    key: str | None = None
    """Of a pair; None for a table's header."""


def with_server(text: str, table: str, entry: Mapping[str, Any]) -> str:
    """Put our table. What a person added to it stays; a table that is right already keeps its bytes.

    Raises:
        NotEditable: no TOML, with the line; or our server is in it in another form.
    """
    before = _parsed(text)
    present = before.get(table, {}).get(NAME)
    if present is not None and {**present, **entry} == present:
        return text
    lines = text.splitlines(keepends=True)
    break_ = "\r\n" if "\r\n" in text else "\n"
    pairs = [f"{key} = {_value(value)}{break_}" for key, value in entry.items()]
    if present is None:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += break_
        gap = [break_] if lines and lines[-1].strip() else []
        lines += [*gap, f"[{table}.{NAME}]{break_}", *pairs]
        kept: dict[str, Any] = {}
    else:
        header = _header(lines, (table, NAME))
        if header is None:
            raise NotEditable(f"{ANOTHER_FORM}\n{snippet(table, entry)}")
        kept = {key: value for key, value in present.items() if key not in OTHER_WAYS}
        replaced = [part for part in _pairs(lines, header + 1) if part.key not in kept or part.key in entry]
        for part in reversed(replaced):
            del lines[part.start : part.end]
        lines[header + 1 : header + 1] = pairs
    wanted = {**before, table: {**before.get(table, {}), NAME: {**kept, **entry}}}
    return _checked("".join(lines), wanted, snippet(table, entry))


def without_server(text: str, table: str) -> str:
    """Take our table out, with the tables below it."""
    before = _parsed(text)
    if NAME not in before.get(table, {}):
        return text
    lines = text.splitlines(keepends=True)
    for start in reversed([number for number, way in _headers(lines) if way[:2] == (table, NAME)]):
        parts = list(_pairs(lines, start + 1))
        del lines[start : parts[-1].end if parts else start + 1]
        if start and not "".join([lines[start - 1], *lines[start : start + 1]]).strip():
            del lines[start - 1]  # the gap that was made with the table
    rest = {name: value for name, value in before[table].items() if name != NAME}
    wanted = {name: value for name, value in before.items() if name != table} | ({table: rest} if rest else {})
    return _checked("".join(lines), wanted, "nothing")


def snippet(table: str, entry: Mapping[str, Any]) -> str:
    """Write our table as it would stand in a file."""
    return "\n".join([f"[{table}.{NAME}]", *(f"{key} = {_value(value)}" for key, value in entry.items())])


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        line = _LINE.search(str(exc))
        why = _LINE.split(str(exc))[0]
        raise NotEditable(f"not valid TOML: {why}", int(line[1]) if line else text.count("\n") + 1) from None
    except RecursionError:
        raise NotEditable("not valid TOML: nested too deeply") from None


def _checked(text: str, wanted: Mapping[str, Any], lines: str) -> str:
    """Read the result again: an edit that changed anything else is none."""
    try:
        changed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        changed = None
    # A table that was only there for ours may stay or go.
    if changed is None or _without_empty(changed) != _without_empty(wanted):
        raise NotEditable(f"{ANOTHER_FORM}\n{lines}")
    return text


def _without_empty(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if inner != {}}


def _header(lines: Sequence[str], way: tuple[str, ...]) -> int | None:
    found = [number for number, present in _headers(lines) if present == way]
    return found[0] if len(found) == 1 else None


def _headers(lines: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Find the lines that are table headers, each with its way from the root."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("[") or line.lstrip().startswith("[["):
            continue
        try:
            value = tomllib.loads(line)
        except tomllib.TOMLDecodeError:  # a line of a list over several lines
            continue
        way: list[str] = []
        while value:
            ((step, value),) = value.items()
            way.append(step)
        yield number, tuple(way)


def _pairs(lines: Sequence[str], start: int) -> Iterator[_Part]:
    """Give the pairs of the table whose header is above `start`, each with all of its lines."""
    number = start
    while number < len(lines) and not lines[number].lstrip().startswith("["):
        if not lines[number].strip() or lines[number].lstrip().startswith("#"):
            number += 1
            continue
        part = _pair(lines, number)
        yield part
        number = part.end


def _pair(lines: Sequence[str], start: int) -> _Part:
    """Find the end of a pair: the first line with which it can be read."""
    for end in range(start + 1, len(lines) + 1):
        try:
            value = tomllib.loads("".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue
        return _Part(start, end, next(iter(value)))
    raise NotEditable("it cannot be changed without touching what is not ours", start + 1)


def _value(value: Any) -> str:
    """Write text, numbers, or a list of them. As JSON does, but TOML knows no surrogates, and wants DEL written out."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
