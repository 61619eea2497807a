"""JSON as text: what is put or taken, and that nothing else moves by a byte."""

import json
from typing import Any

import pytest

from console.mcp_install.json_text import JsonText, Way
from console.mcp_install.refusals import NotEditable

SERVER = {"command": "p", "args": ["-m"]}
WAY: Way = ("servers", "ours")

BEFORE_AND_AFTER = {
    "empty": ("{}\n", '{\n  "servers": {\n    "ours": 1\n  }\n}\n'),
    "other keys": ('{\n  "a": 1\n}\n', '{\n  "a": 1,\n  "servers": {\n    "ours": 1\n  }\n}\n'),
    "an empty table": ('{\n  "servers": {}\n}', '{\n  "servers": {\n    "ours": 1\n  }\n}'),
    "four spaces": (
        '{\n    "servers": {\n        "x": 2\n    }\n}\n',
        '{\n    "servers": {\n        "x": 2,\n        "ours": 1\n    }\n}\n',
    ),
    "tabs": (
        '{\n\t"servers": {\n\t\t"x": 2\n\t},\n\t"z": 0\n}\n',
        '{\n\t"servers": {\n\t\t"x": 2,\n\t\t"ours": 1\n\t},\n\t"z": 0\n}\n',
    ),
    "carriage returns": (
        '{\r\n  "servers": {\r\n    "x": 2\r\n  }\r\n}\r\n',
        '{\r\n  "servers": {\r\n    "x": 2,\r\n    "ours": 1\r\n  }\r\n}\r\n',
    ),
    "one line": ('{"servers":{"x":2}}', '{"servers":{"x":2,\n    "ours": 1\n  }}'),
    "ours already, odd spaces": ('{"servers" : { "ours":  0 , "x":2}}', '{"servers" : { "ours":  1 , "x":2}}'),
    "a number json would write otherwise": (
        '{\n  "a": 1.10e2,\n  "b": "\\u00e9",\n  "servers": {"ours": 0}\n}',
        '{\n  "a": 1.10e2,\n  "b": "\\u00e9",\n  "servers": {"ours": 1}\n}',
    ),
}


@pytest.mark.parametrize(("before", "after"), BEFORE_AND_AFTER.values(), ids=BEFORE_AND_AFTER.keys())
def test_put_changes_one_place(before: str, after: str) -> None:
    """Spec: order, indentation, spelling of everything else are kept."""
    assert JsonText(before, comments=False).put(WAY, 1).text == after


WITH_COMMENTS = {
    "at the end of a line": (
        '{\n  // mine\n  "servers": {\n    "x": 2, // keep\n  },\n}\n',
        '{\n  // mine\n  "servers": {\n    "x": 2, // keep\n    "ours": 1,\n  },\n}\n',
    ),
    "without a trailing comma": (
        '{\n  "servers": {\n    "x": "//no" // keep\n    /* and */\n  }\n}\n',
        '{\n  "servers": {\n    "x": "//no", // keep\n    /* and */\n    "ours": 1\n  }\n}\n',
    ),
    "alone in the table": (
        '{\n  "servers": {\n    // none yet\n  }\n}\n',
        '{\n  "servers": {\n    // none yet\n    "ours": 1\n  }\n}\n',
    ),
    "before the file": (
        '// head\n{ "a": [1, 2,], }\n',
        '// head\n{ "a": [1, 2,],\n  "servers": {\n    "ours": 1\n  },\n}\n',
    ),
}


@pytest.mark.parametrize(("before", "after"), WITH_COMMENTS.values(), ids=WITH_COMMENTS.keys())
def test_comments_and_trailing_commas_stay(before: str, after: str) -> None:
    """Spec: VS Code and opencode allow them."""
    assert JsonText(before, comments=True).put(WAY, 1).text == after


TEXTS = [before for before, _ in [*BEFORE_AND_AFTER.values(), *WITH_COMMENTS.values()]]
VALUES: list[Any] = [1, SERVER, [], {}, 'a"b\\c\n//é', None, [SERVER, SERVER]]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("value", VALUES)
def test_what_was_put_is_there_and_the_rest_too(text: str, value: Any) -> None:
    """Ours: whatever the value and the form of the file."""
    before = JsonText(text, comments=True)
    after = before.put(WAY, value)
    assert after.get(WAY) == value
    others = {key: inner for key, inner in after.value.items() if key != "servers"}
    assert others == {key: inner for key, inner in before.value.items() if key != "servers"}


@pytest.mark.parametrize("text", [text for text in TEXTS if "ours" not in text and "{}" not in text])
def test_take_undoes_put(text: str) -> None:
    """Ours: to the byte, where the file had the usual form."""
    put = JsonText(text, comments=True).put(WAY, SERVER)
    taken = put.take(WAY)
    assert taken.value == JsonText(text, comments=True).value
    if '":{' not in text and not text.startswith("// head"):
        assert taken.text == text


TAKEN = {
    "the only one": ('{\n  "servers": {\n    "ours": 1\n  }\n}\n', "{}\n"),
    "the first": ('{\n  "servers": {\n    "ours": 1,\n    "x": 2\n  }\n}', '{\n  "servers": {\n    "x": 2\n  }\n}'),
    "the last": ('{\n  "servers": {\n    "x": 2,\n    "ours": 1\n  }\n}', '{\n  "servers": {\n    "x": 2\n  }\n}'),
    "in one line": ('{"servers":{"x":2, "ours":1, "y":3}}', '{"servers":{"x":2, "y":3}}'),
    "beside a comment": (
        '{"servers":{\n  "ours":1, // mine\n  // next\n  "x":2,\n}}',
        '{"servers":{ // mine\n  // next\n  "x":2,\n}}',
    ),
    "a comment holds the table": ('{"servers":{\n  // keep\n  "ours":1\n}}', '{"servers":{\n  // keep\n}}'),
    "not in it": ('{"servers":{"x":1}}', '{"servers":{"x":1}}'),
    "no table": ("{}", "{}"),
}


@pytest.mark.parametrize(("before", "after"), TAKEN.values(), ids=TAKEN.keys())
def test_take_leaves_nothing_of_it(before: str, after: str) -> None:
    """Spec: the comma goes with it, a table that is empty then too, comments of others stay."""
    assert JsonText(before, comments=True).take(WAY).text == after


def test_lists_grow_at_their_end_and_shrink_anywhere() -> None:
    """Ours: groups of hooks stand in lists."""
    text = JsonText('{\n  "Stop": [\n    1,\n    2\n  ]\n}\n', comments=False)
    grown = text.put(("Stop", 2), {"a": 3})
    assert grown.text == '{\n  "Stop": [\n    1,\n    2,\n    {\n      "a": 3\n    }\n  ]\n}\n'
    assert grown.take(("Stop", 0)).value == {"Stop": [2, {"a": 3}]}
    assert grown.take(("Stop", 2)).text == text.text
    assert text.put(("New", 0), 1).value == {"Stop": [1, 2], "New": [1]}


BROKEN = {
    "cut off": ('{\n  "a": 1,\n', 3),
    "two values": ("{}\n{}", 2),
    "a comment where none may stand": ('{\n  // mine\n  "a": 1\n}', 2),
    "a trailing comma where none may stand": ('{\n  "a": 1,\n}', 3),
    "an unquoted key": ("{\n\n a: 1}", 3),
    "nothing but words": ("hello", 1),
}


@pytest.mark.parametrize(("text", "line"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_json_is_refused_with_its_line(text: str, line: int) -> None:
    """Spec: bad input."""
    with pytest.raises(NotEditable, match="not valid JSON") as caught:
        JsonText(text, comments=False)
    assert caught.value.line == line


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    """Ours."""
    with pytest.raises(NotEditable, match="nested too deeply"):
        JsonText("[" * 200_000, comments=True)


@pytest.mark.parametrize("text", ["[]", '"x"', '{"servers": []}', '{"a": 0,\n"servers": null}', "7"])
def test_a_table_that_is_none_is_refused(text: str) -> None:
    """Ours: what the client meant by it cannot be known."""
    with pytest.raises(NotEditable, match="is no object") as caught:
        JsonText(text, comments=False).put(WAY, 1)
    assert caught.value.line == text.count("\n") + 1


def test_of_a_key_that_stands_there_twice_the_last_counts() -> None:
    """Ours: as for every reader of JSON."""
    text = JsonText('{"servers": {"a": 1}, "servers": {"b": 2}}', comments=False)
    assert json.loads(text.put(WAY, 1).text) == {"servers": {"b": 2, "ours": 1}}
