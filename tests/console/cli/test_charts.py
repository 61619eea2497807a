"""Charts of one line, in what a terminal can show."""

import io

import pytest

from console.cli.charts import Style, chart, printable, style_of


class Screen(io.TextIOWrapper):
    """A stream that is or is not a terminal."""

    def __init__(self, encoding: str, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether somebody looks at it."""
        return self._terminal


@pytest.mark.parametrize(
    ("encoding", "terminal", "environ", "style"),
    [
        ("utf-8", True, {}, "blocks"),
        ("ascii", True, {}, "ascii"),
        ("iso8859-1", True, {}, "ascii"),
        ("utf-8", False, {}, "numbers"),
        ("utf-8", True, {"NO_COLOR": "1"}, "numbers"),
        ("utf-8", True, {"NO_COLOR": ""}, "blocks"),
        ("utf-8", True, {"TERM": "dumb"}, "numbers"),
    ],
)
def test_the_terminal_decides(encoding: str, terminal: bool, environ: dict[str, str], style: Style) -> None:
    """Issue 4.8: blocks where they can be shown, ASCII where the encoding lacks them, numbers where nobody looks."""
    assert style_of(Screen(encoding, terminal=terminal), environ) == style


def test_the_largest_number_has_full_height() -> None:
    """Ours: nothing is the lowest step, and what is more than nothing never is."""
    assert chart([0, 1, 50, 100], "blocks") == "▁▂▅█"
    assert chart([0, 1, 50, 100], "ascii") == "_.=#"
    assert chart([0, 0.25, 1000000], "numbers") == "0 0.25 1e+06"
    assert chart([0, 0], "blocks") == "▁▁"
    assert chart([], "blocks") == ""


def test_nothing_but_what_the_encoding_has() -> None:
    """Issue 4.8: look-alikes, else escapes."""
    assert printable("5 · 6× …é", "ascii") == "5 - 6x ...\\xe9"
    assert printable("5 · é", "utf-8") == "5 · é"
    assert printable("5 · é…", "iso8859-1") == "5 - é..."
    assert printable("5 ·", None) == "5 -"
