"""Small charts of one line for a terminal: blocks, plain ASCII where its encoding lacks them, else numbers. Pure."""

import codecs
from collections.abc import Mapping, Sequence
from typing import Literal, TextIO

Style = Literal["blocks", "ascii", "numbers"]

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.:-=+*#"
"""The first of each is nothing at all; what is more than nothing never looks like it."""

_IN_ASCII = str.maketrans({"·": "-", "×": "x", "–": "-", "…": "..."})


def style_of(stream: TextIO, environ: Mapping[str, str]) -> Style:
    """Choose by where it is printed. `NO_COLOR` asks for no decoration: numbers, as for a pipe or a file."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb" or not stream.isatty():
        return "numbers"
    return "blocks" if _can(stream.encoding, BLOCKS) else "ascii"


def chart(values: Sequence[float], style: Style) -> str:
    """Draw numbers side by side, the largest at full height."""
    if style == "numbers":
        return " ".join(f"{value:g}" for value in values)
    steps = BLOCKS if style == "blocks" else ASCII
    top = max(values, default=0)
    return "".join(steps[_height(value, top, len(steps) - 1)] for value in values)


def _height(value: float, top: float, most: int) -> int:
    return 0 if value <= 0 else max(round(value / top * most), 1)


def printable(text: str, encoding: str | None) -> str:
    """Write with the letters that an encoding has; the rest as look-alikes, or as escapes."""
    if _can(encoding, text):
        return text
    known = codecs.lookup(encoding or "ascii").name
    return text.translate(_IN_ASCII).encode(known, "backslashreplace").decode(known)


def _can(encoding: str | None, text: str) -> bool:
    try:
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
