"""Every key of a TOML text is found on its line."""

import tomllib
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.toml_lines import Where, key_lines, line_of

DOCUMENT = '''\
# a comment with [brackets] = "and" 'quotes'
top = 1
[fleet] # [not.this]
name = "x # no comment"
text = """
[fake]
key = "no" \\""" still """"
literal = \'\'\'
other = 1\'\'\'
after = 2
[agents.alice]
list = [
  "a", # first
  [1, 2],
  { deep = true },
]
env = { A = "1", "B.C" = "2", d.e = 3 }
when = 1979-05-27 07:32:00
pi = 3.14
[agents . "bob\\u0021"]
'single' = 1
dotted.sub.key = 1
dotted.sub.more = 2
[[notify]]
on = 1
[[notify]]
on = 2
'''


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (("top",), 2),
        (("fleet",), 3),
        (("fleet", "name"), 4),
        (("fleet", "text"), 5),
        (("fleet", "literal"), 8),
        (("fleet", "after"), 10),
        (("agents",), 11),
        (("agents", "alice"), 11),
        (("agents", "alice", "list"), 12),
        (("agents", "alice", "list", 0), 13),
        (("agents", "alice", "list", 1, 1), 14),
        (("agents", "alice", "list", 2, "deep"), 15),
        (("agents", "alice", "env", "A"), 17),
        (("agents", "alice", "env", "B.C"), 17),
        (("agents", "alice", "env", "d", "e"), 17),
        (("agents", "alice", "when"), 18),
        (("agents", "alice", "pi"), 19),
        (("agents", "bob!"), 20),
        (("agents", "bob!", "single"), 21),
        (("agents", "bob!", "dotted", "sub", "more"), 23),
        (("notify", 0, "on"), 25),
        (("notify", 1), 26),
        (("notify", 1, "on"), 27),
    ],
)
def test_a_key_is_found_on_its_line(where: Where, line: int) -> None:
    """Ours: strings, comments, arrays and inline tables do not mislead it."""
    assert key_lines(DOCUMENT)[where] == line


def test_a_key_that_is_not_written_is_where_its_table_is() -> None:
    """Ours: what is missing, or stands inside a value, has the line of what is around it."""
    lines = key_lines(DOCUMENT)
    assert line_of(lines, ("agents", "alice", "missing", "deep")) == 11
    assert line_of(lines, ("nowhere",)) is None
    assert line_of(lines, ()) is None


def test_windows_line_ends_count_once() -> None:
    """Ours: the file may come from anywhere."""
    assert key_lines("a = 1\r\nb = 2\r\n")["b",] == 2


KEYS = st.text("abcXYZ019_-", min_size=1, max_size=4) | st.text(max_size=4)
SCALARS = st.integers() | st.booleans() | st.text(max_size=6) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3), max_size=3))
def test_every_key_of_any_document_is_found(tables: dict[str, dict[str, Any]]) -> None:
    """Ours: whatever tomllib can read has a place for everything in it."""
    text = "".join(
        f"[{_quoted(name)}]\n" + "".join(f"{_quoted(key)} = {_toml(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )
    assert tomllib.loads(text) == tables
    assert set(key_lines(text)) == set(_paths((), tables))


def _paths(at: Where, value: object) -> Iterator[Where]:
    if at:
        yield at
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            yield from _paths((*at, key), inner)
    elif isinstance(value, list):
        for number, inner in enumerate(cast("list[object]", value)):
            yield from _paths((*at, number), inner)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"'


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _quoted(value)
        case list():
            return f"[{', '.join(_toml(inner) for inner in cast('list[object]', value))}]"
        case dict():
            items = cast("dict[str, object]", value).items()
            return f"{{{', '.join(f'{_quoted(key)} = {_toml(inner)}' for key, inner in items)}}}"
        case _:
            return repr(value)
