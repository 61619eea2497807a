"""Where a fleet is watched: on a terminal the footer is drawn anew below the story, in a file there are only lines.

The story stays in the terminal's own history: nothing is cleared but the footer, and no other screen is opened.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from console.cli.charts import printable
from console.cli.screen import columns

CLEAR_BELOW = "\x1b[J"
UP = "\x1b[{0}F"
"""To the first column, so many lines up."""


class Screen:
    """A terminal or a file; `colour` is False where none is wanted."""

    def __init__(self, stream: TextIO | None = None, *, colour: bool = True) -> None:
        self._stream = stream or sys.stdout
        self.live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        """Whether there is a footer: what cannot be commanded gets lines only."""
        self._colour = colour and self._stream.isatty()
        self._footer: list[str] = []

    @property
    def width(self) -> int:
        """Columns of the terminal; plenty for a file."""
        return shutil.get_terminal_size().columns if self._stream.isatty() else 160

    @property
    def height(self) -> int:
        """Lines of the terminal."""
        return shutil.get_terminal_size().lines

    def show(self, lines: Sequence[str], footer: Sequence[str] = ()) -> None:
        """Print lines of the story, and the footer below them; in one write, so that nothing flickers."""
        if not self.live:
            footer = []
        if not lines and list(footer) == self._footer:
            return
        above = [self._printed(line) for line in lines]
        below = [self._printed(line) for line in footer]
        text = self._erased() + "".join(f"{line}\n" for line in (*above, *below))
        self._stream.write(text)
        self._stream.flush()
        self._footer = list(footer)

    def leave(self) -> None:
        """Take the footer away."""
        if self.live:
            self._stream.write(self._erased())
            self._stream.flush()
        self._footer = []

    def _erased(self) -> str:
        """Give what takes the footer away, also where a narrower window has wrapped it."""
        rows = sum(max(-(-columns(line) // max(self.width, 1)), 1) for line in self._footer)
        return f"{UP.format(rows)}{CLEAR_BELOW}" if rows else ""

    def _printed(self, line: str) -> str:
        text = line if self._colour else click.unstyle(line)
        return printable(text, self._stream.encoding)
