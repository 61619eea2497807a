"""The terminal that a person sees, rendered."""

import io

import pyte
import pytest

from console.live.screen import Screen


class Terminal(io.StringIO):
    """A stream that is a terminal, and what stands on it."""

    encoding = "utf-8"

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__()
        self.rendered = pyte.HistoryScreen(columns, lines, history=100)
        self._stream = pyte.Stream(self.rendered)

    def isatty(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    def lines(self) -> list[str]:
        """Give what stands there, without the empty lines at the end."""
        return "\n".join(line.rstrip() for line in self.rendered.display).rstrip().split("\n")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Give one of 40 by 10."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    return Terminal(40, 10)


def test_the_story_scrolls_and_the_footer_stays_below(terminal: Terminal) -> None:
    """Issue 4, item 10: the messages that pass, and who does what now."""
    screen = Screen(terminal)
    for number in range(1, 31):
        screen.show([f"message {number}"], ["----", f"working on {number}"])
    assert terminal.lines() == [*(f"message {number}" for number in range(24, 31)), "----", "working on 30"]
    kept = ["".join(line[column].data for column in range(40)).rstrip() for line in terminal.rendered.history.top]
    assert kept == [f"message {number}" for number in range(1, 24)], "nothing of the footer is in the history"


def test_leaving_takes_the_footer_away_and_keeps_the_story(terminal: Terminal) -> None:
    """Ours: what is printed next stands where it was."""
    screen = Screen(terminal)
    screen.show(["one"], ["----", "\x1b[1mbusy\x1b[0m", "sums"])
    screen.leave()
    terminal.write("next\n")
    assert terminal.lines() == ["one", "next"]


def test_what_stays_the_same_is_not_drawn_again(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a terminal over a slow line, and somebody who marks text in it."""
    screen = Screen(terminal)
    screen.show([], ["busy"])
    written: list[str] = []
    monkeypatch.setattr(terminal, "write", written.append)
    screen.show([], ["busy"])
    assert written == []


def test_a_file_gets_the_lines_and_nothing_else() -> None:
    """Issue 4, item 10: plain lines where there is no terminal."""
    file = io.StringIO()
    screen = Screen(file)
    screen.show(["\x1b[1mone\x1b[0m"], ["busy"])
    screen.show([], ["busy still"])
    screen.leave()
    assert file.getvalue() == "one\n"


def test_a_terminal_without_commands_gets_lines(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 10: TERM=dumb."""
    monkeypatch.setenv("TERM", "dumb")
    assert not Screen(terminal).live


def test_who_wants_no_colours_gets_none(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 10: NO_COLOR; the footer stays."""
    written: list[str] = []
    monkeypatch.setattr(terminal, "write", written.append)
    Screen(terminal, colour=False).show(["\x1b[1mone\x1b[0m"], ["\x1b[2mbusy\x1b[0m"])
    assert written == ["one\nbusy\n"]
