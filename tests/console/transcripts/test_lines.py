"""Every format reads as agreed, and nothing that a program writes breaks the reader.

`python -m tests.console.transcripts.test_lines` writes the golden texts anew.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click
import pytest
from hypothesis import given
from hypothesis import strategies as some

from console.cli.tail import rendered
from console.transcripts.happening import Happening
from console.transcripts.lines import joined, read_line

GOLDEN = Path(__file__).parents[2] / "golden" / "transcripts"
FORMATS = ("plain", "claude", "codex", "codex-server", "opencode", "opencode-server", "gemini", "gemini-acp")
COLUMNS = 120


def lines_of(name: str) -> list[str]:
    """Give the lines of a transcript: of real programs as far as they go, of their own descriptions beyond."""
    return (GOLDEN / f"{name}.log").read_bytes().decode().split("\n")


def text_of(name: str) -> str:
    """Write a transcript as a person sees it."""
    happened = joined(one for line in lines_of(name) for one in read_line(line))
    return "".join(f"{click.unstyle(rendered(one, COLUMNS))}\n" for one in happened)


@pytest.mark.parametrize("name", FORMATS)
def test_a_transcript_reads_as_agreed(name: str) -> None:
    """Issue 4.9: text, calls, results, errors, the end; recorded from the programs themselves."""
    assert text_of(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_no_golden_transcript_is_forgotten() -> None:
    """Ours."""
    assert {path.stem for path in GOLDEN.iterdir()} == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_line_in_which_anything_is_of_another_shape_is_still_read(name: str) -> None:
    """Ours: the next version of a program may write anything; so may a program that lies."""
    for line in lines_of(name):
        if line.startswith("{") and line.endswith("}"):
            for changed in _each_changed(json.loads(line)):
                for happened in read_line(json.dumps(changed)):
                    assert rendered(happened, COLUMNS)


def _each_changed(value: Any) -> Iterator[Any]:
    """Give the value with each of its inner values once as each other shape, at any depth."""
    yield from (None, 7, 0.5, True, "text", [], ["text", 7], {}, {"text": {}})
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        for key, inner in fields.items():
            yield {other: kept for other, kept in fields.items() if other != key}
            yield from ({**fields, key: changed} for changed in _each_changed(inner))
    if isinstance(value, list):
        items = cast("list[Any]", value)
        for at, inner in enumerate(items):
            yield from ([*items[:at], changed, *items[at + 1 :]] for changed in _each_changed(inner))


@given(some.text())
def test_no_line_breaks_the_reader(line: str) -> None:
    """Ours."""
    assert all(isinstance(happened, Happening) for happened in read_line(line))


def test_what_is_nested_too_deeply_is_a_plain_line() -> None:
    """Ours: a parser has its limits."""
    line = '{"type": "assistant", "message": ' + "[" * 100_000
    assert read_line(line) == [Happening("wrote", line)]
    for depth in range(100, 1200, 50):
        deep = "[" * depth + "]" * depth
        call = f'{{"type":"tool_use","tool_name":"f","parameters":{{"a":{deep}}}}}'
        assert rendered(read_line(call)[0], COLUMNS)


HOSTILE = "\x1b[2J\x1b]52;c;AAAA\x07\x9b31m\u202e\u200b\ud800\r"


@pytest.mark.parametrize(
    "line",
    [
        HOSTILE,
        json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": HOSTILE}]}}),
        json.dumps({"type": "assistant", "message": {"content": [{"type": "thinking", "thinking": HOSTILE}]}}),
        json.dumps({"type": "tool_use", "tool_name": HOSTILE, "parameters": {HOSTILE: HOSTILE}}),
        json.dumps({"type": "tool_result", "tool_id": "x", "status": "success", "output": HOSTILE}),
        json.dumps({"type": "error", "message": HOSTILE}),
        json.dumps({"type": "result", "subtype": HOSTILE, "is_error": True, "result": HOSTILE}),
    ],
)
def test_a_terminal_obeys_nothing_of_it(line: str) -> None:
    """Ours: escape sequences, marks of direction and what is invisible are written out."""
    for happened in read_line(line):
        shown = click.unstyle(rendered(happened, COLUMNS))
        assert shown.replace("\n", "").isprintable()
        shown.encode()


def main() -> None:
    """Write what is shown now as what is agreed."""
    for name in FORMATS:
        (GOLDEN / f"{name}.txt").write_text(text_of(name), encoding="utf-8")
    sys.stderr.write(f"wrote {len(FORMATS)} files; look at the difference before you commit it\n")


if __name__ == "__main__":
    main()
