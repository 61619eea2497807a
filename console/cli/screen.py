"""Printing: what people see and what programs read.

Everything that an agent wrote goes through `safe` first: a body may hold the escape sequences of a terminal.
"""

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from console.cli.charts import printable
from wire.escaping import escape

STATE_COLOURS = {
    "working": "green",
    "in_turn": "green",
    "handled": "green",
    "queued": "yellow",
    "waiting_permission": "yellow",
    "parked": "yellow",
    "paused": "yellow",
    "frozen": "cyan",
    "held": "yellow",
    "expired": "yellow",
    "deaf": "red",
    "dead": "red",
    "failed": "red",
}
"""One colour per state word, wherever it stands; what is quiet has none."""


def print_json(value: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Print one JSON value on one line. What a terminal would obey or hide is written as a JSON escape."""
    text = json.dumps(value, ensure_ascii=False)
    click.echo(text if text.isprintable() else json.dumps(value))


def note(text: str) -> None:
    """Say something beside the result: on stderr, dim."""
    click.secho(text, err=True, dim=True)


def warn(text: str) -> None:
    """Say something that the caller should not miss: on stderr."""
    click.secho(f"warning: {safe(text)}", err=True, fg="yellow")


def say(text: str = "") -> None:
    """Print a line with the letters that the terminal has; click would write the others in UTF-8 all the same."""
    click.echo(printable(text, sys.stdout.encoding))


def bold(text: str) -> str:
    """Make a heading."""
    return click.style(text, bold=True) if text else ""


def dim(text: str) -> str:
    """Make what is beside the point."""
    return click.style(text, dim=True) if text else ""


def coloured(state: str, text: str | None = None) -> str:
    """Give a state (or a text about it) its colour."""
    return click.style(text or state.replace("_", " "), fg=STATE_COLOURS.get(state))


def safe(text: str) -> str:
    """Write out what a terminal would obey or hide; newlines stay."""
    return escape(text)


def one_line(text: str, width: int) -> str:
    """Show the beginning of a body on one line, with an ellipsis where something is left out."""
    first = " ".join(safe(text[: width * 4]).split())
    if len(first) <= width and len(text) <= width * 4:
        return first
    return first[: max(width - 1, 1)].rstrip() + "…"


def terminal_width() -> int:
    """Give the columns to print into; wide enough for scripts where there is no terminal."""
    return min(shutil.get_terminal_size((120, 24)).columns, 160)


def columns(text: str) -> int:
    """Count the columns that a text takes on a terminal; wide characters take two, colours none."""
    plain = click.unstyle(text)
    return sum(_character_columns(character) for character in plain)


def _character_columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> None:
    """Print an aligned table; the columns in `right` are numbers. The last column is never padded."""
    table = [[bold(heading) for heading in headings], *map(list, rows)]
    widths = [max(columns(row[index]) for row in table) for index in range(len(headings))]
    for row in table:
        cells = [_padded(cell, widths[index], index in set(right)) for index, cell in enumerate(row)]
        say("  ".join(cells).rstrip())


def _padded(cell: str, width: int, to_the_right: bool) -> str:
    gap = " " * (width - columns(cell))
    return gap + cell if to_the_right else cell + gap
