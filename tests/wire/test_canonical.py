"""Canonical JSON: one value, one spelling; what differs between implementations is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.canonical import MAX_BYTES, MAX_DEPTH, MAX_INT, NotCanonical, canonical, read

KEYS = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")
LEAVES = st.none() | st.booleans() | st.integers(-MAX_INT, MAX_INT) | st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def nested(depth: int) -> Any:
    """Give lists within lists."""
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_is_written_is_read_back_and_nothing_else_is_the_same(value: dict[str, Any]) -> None:
    """[X14] Reading gives the value, writing again gives the bytes, a blank more is refused."""
    try:
        data = canonical(value)
    except NotCanonical:
        return  # deeper than events may be
    assert read(data) == value
    assert canonical(read(data)) == data
    assert data.isascii()
    with pytest.raises(NotCanonical):
        read(data + b" ")


@given(st.dictionaries(KEYS, LEAVES, max_size=5))
def test_the_order_in_which_a_value_was_made_does_not_matter(value: dict[str, Any]) -> None:
    """[X14] Sorted keys."""
    assert canonical(value) == canonical(dict(reversed(value.items())))


def circle() -> list[Any]:
    """Give a list that holds itself."""
    made: list[Any] = []
    made.append(made)
    return made


WRONG_VALUES: dict[str, Any] = {
    "a float": 1.0,
    "a large float": 1e16,
    "not a number": float("nan"),
    "infinity": float("inf"),
    "an integer too large for others": 2**53,
    "an integer too small for others": -(2**53),
    "a lone high surrogate": "\ud800",
    "a lone low surrogate": "a\udc00",
    "bytes": b"x",
    "a tuple": (1, 2),
    "a set": {1},
    "a key that is a number": {1: "a"},
    "a key with a capital": {"A": 1},
    "an empty key": {"": 1},
    "a key beyond ASCII": {"\u00e9": 1},
    "a key with a line break": {"a\n": 1},
    "a key that is too long": {"a" * 65: 1},
    "lists too deep": nested(MAX_DEPTH + 1),
    "a list that holds itself": circle(),
    "too much": "x" * MAX_BYTES,
}


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_a_value_outside_the_profile_is_refused(name: str) -> None:
    """Reliability 4.2: what Python would write and another language would read otherwise."""
    with pytest.raises(NotCanonical):
        canonical({"a": WRONG_VALUES[name]})


WRONG_BYTES: dict[str, bytes] = {
    "nothing": b"",
    "a list": b"[]",
    "a text": b'"a"',
    "a number": b"1",
    "a blank": b'{"a": 1}',
    "a blank in front": b' {"a":1}',
    "a line break behind": b'{"a":1}\n',
    "keys out of order": b'{"b":1,"a":2}',
    "a key twice": b'{"a":1,"a":1}',
    "a key twice, within": b'{"a":{"b":1,"b":2}}',
    "a float": b'{"a":1.0}',
    "an exponent": b'{"a":1e3}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "minus zero": b'{"a":-0}',
    "an integer too large": b'{"a":9007199254740992}',
    "five thousand digits": b'{"a":' + b"9" * 5000 + b"}",
    "raw UTF-8": '{"a":"\u00e9"}'.encode(),
    "an escape that is not needed": rb'{"a":"\u0041"}',
    "an escape in capitals": rb'{"a":"\u00E9"}',
    "a slash escaped": rb'{"a":"\/"}',
    "a lone surrogate": rb'{"a":"\ud800"}',
    "not UTF-8": b'{"a":"\xff"}',
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a NUL": b'{"a":1}\0',
    "two objects": b'{"a":1}{"a":1}',
    "a trailing comma": b'{"a":1,}',
    "a comment": b'{"a":1/**/}',
    "a hundred thousand lists": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "thirty thousand lists": b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "nine lists": b'{"a":' + b"[" * 9 + b"]" * 9 + b"}",
    "too long": b'{"a":"' + b"x" * MAX_BYTES + b'"}',
}


@pytest.mark.parametrize("name", WRONG_BYTES)
def test_bytes_that_are_not_the_canonical_ones_are_refused(name: str) -> None:
    """Reliability 4.2: every trap of canonicalisation ends in the same error, none in a crash of the parser."""
    with pytest.raises(NotCanonical):
        read(WRONG_BYTES[name])


def test_the_limits_themselves_are_within() -> None:
    """Ours: the last value that fits."""
    value = {"a": [MAX_INT, -MAX_INT, "\U0001f600", nested(MAX_DEPTH - 2)], "z_9": None}
    assert read(canonical(value)) == value
    full = {"a": "x" * (MAX_BYTES - len('{"a":""}'))}
    assert len(canonical(full)) == MAX_BYTES
    assert read(canonical(full)) == full


def test_an_error_names_the_place() -> None:
    """Ours: whoever wrote the value can mend it."""
    with pytest.raises(NotCanonical, match=r"\$\.a\[1\]\.b: float"):
        canonical({"a": [1, {"b": 0.5}]})
    with pytest.raises(NotCanonical, match=r"0\.5 is no integer"):
        read(json.dumps({"a": 0.5}).encode())
