"""Printing: alignment, safety, one line for one thing."""

import json

import click
import pytest

from console.cli.screen import columns, one_line, print_json, print_table


def test_columns_counts_what_a_terminal_shows() -> None:
    """Ours: wide characters take two, colours and combining marks none."""
    assert columns(click.style("abc", fg="red")) == 3
    assert columns("日本") == 4
    assert columns("e\u0301") == 1


def test_a_table_lines_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours: numbers to the right, the last column not padded."""
    print_table(["NAME", "N", "WHAT"], [["日本", "7", "x"], ["bob", "123", "yy"]], right=[1])
    shown = click.unstyle(capsys.readouterr().out)
    assert shown == "NAME    N  WHAT\n日本    7  x\nbob   123  yy\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("short", "short"),
        ("two\nlines\tand  more", "two lines and…"),
        ("x" * 100, "x" * 14 + "…"),
        ("\x1b[2J", "\\u{1b}[2J"),
        ("", ""),
    ],
)
def test_one_line_of_a_body(text: str, shown: str) -> None:
    """Ours: safe, and no wider than asked."""
    assert one_line(text, 15) == shown


def test_json_keeps_what_can_be_read_and_writes_out_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours: the value is the same either way."""
    print_json({"a": "naïve 日本"})
    print_json({"a": "\x9b31m"})
    plain, escaped = capsys.readouterr().out.splitlines()
    assert "naïve 日本" in plain
    assert escaped.isascii()
    assert json.loads(escaped) == {"a": "\x9b31m"}
