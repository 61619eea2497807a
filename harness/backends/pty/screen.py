"""The screen that a program draws on, as text. What is on it was written by the program, and is believed by nobody."""

import difflib
import unicodedata
from collections import deque

import pyte

from harness.backends.pty.sequences import Sequences, Token

MOST_SCROLLED = 400
"""Lines kept between two looks; of a flood the newest."""
MOST_REPLIES = 64
"""Answers to the program's questions that wait to be written; one that asks more asks in vain."""
MOST_MARKS = 4
"""Combining characters in a row; more are drawn by nobody who writes a language."""

PASTES = 2004
"""The private mode in which a program takes a paste as one piece."""
_OTHER_SCREENS = frozenset({47, 1047, 1049})
_KEPT_PRIVATE = frozenset({7})
_KEPT = frozenset({4, 20})
"""Whether lines wrap; whether text is inserted, and a line feed goes to the margin. Others are about looks."""

_CONTROLS = {
    "\b": "backspace",
    "\t": "tab",
    "\n": "linefeed",
    "\v": "linefeed",
    "\f": "linefeed",
    "\r": "carriage_return",
}
_ESCAPES = {
    "7": "save_cursor",
    "8": "restore_cursor",
    "D": "index",
    "E": "next_line",
    "H": "set_tab_stop",
    "M": "reverse_index",
    "c": "start_over",
}
_MOVES: dict[str, tuple[str, int]] = {
    "@": ("insert_characters", 1),
    "A": ("cursor_up", 1),
    "B": ("cursor_down", 1),
    "C": ("cursor_forward", 1),
    "D": ("cursor_back", 1),
    "E": ("cursor_down1", 1),
    "F": ("cursor_up1", 1),
    "G": ("cursor_to_column", 1),
    "H": ("cursor_position", 2),
    "J": ("erase_in_display", 1),
    "K": ("erase_in_line", 1),
    "L": ("insert_lines", 1),
    "M": ("delete_lines", 1),
    "P": ("delete_characters", 1),
    "S": ("scroll_up", 1),
    "T": ("scroll_down", 1),
    "X": ("erase_characters", 1),
    "`": ("cursor_to_column", 1),
    "a": ("cursor_forward", 1),
    "b": ("draw_again", 1),
    "c": ("report_device_attributes", 1),
    "d": ("cursor_to_line", 1),
    "e": ("cursor_down", 1),
    "f": ("cursor_position", 2),
    "g": ("clear_tab_stop", 1),
    "n": ("report_device_status", 1),
    "r": ("set_margins", 2),
    "s": ("save_cursor", 0),
    "u": ("restore_cursor", 0),
}
"""Of the CSI sequences: what is called, with how many numbers at most."""
_ERASES = {"J": 4, "K": 3}
"""Which know so many kinds, counted from 0; another one is no sequence."""


class Surface(pyte.Screen):
    """pyte's screen, with what it leaves out or does without a bound."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self.scrolled: deque[str] = deque(maxlen=MOST_SCROLLED)
        """Lines that left the screen at its top."""
        self.passed = 0
        """How many there were."""
        self.replies: list[str] = []
        self._last = " "
        self._marks = 0

    def line(self, y: int) -> str:
        """Give one line without the blanks at its end; the second half of a wide character is an empty cell."""
        cells = self.buffer[y]
        return "".join(cells[x].data for x in range(self.columns)).rstrip()

    def write(self, text: str) -> None:
        """Draw text. pyte forgets the rest of a piece behind a character without width."""
        if text.isascii():
            self.draw(text)
        else:
            for character in text:
                self._write_one(character)
        self._last = text[-1]

    def _write_one(self, character: str) -> None:
        self._marks = self._marks + 1 if unicodedata.combining(character) else 0
        if self._marks <= MOST_MARKS:
            self.draw(character)

    def draw_again(self, count: int = 1) -> None:
        """Repeat the last character."""
        self.write(self._last * min(count or 1, self.columns))

    def index(self) -> None:
        """Go down a line; at the bottom all lines go up."""
        top, bottom = self.margins or (0, self.lines - 1)
        if self.cursor.y == bottom and top == 0:
            self.scrolled.append(self.line(0))
            self.passed += 1
        super().index()

    def next_line(self) -> None:
        """Go to the beginning of the next line."""
        self.index()
        self.carriage_return()

    def scroll_up(self, count: int = 1) -> None:
        """Move the lines up; the cursor stays."""
        self._scroll(count, bottom=True)

    def scroll_down(self, count: int = 1) -> None:
        """Move the lines down; the cursor stays."""
        self._scroll(count, bottom=False)

    def _scroll(self, count: int, *, bottom: bool) -> None:
        first, last = self.margins or (0, self.lines - 1)
        kept, self.cursor.y = self.cursor.y, last if bottom else first
        for _ in range(min(count or 1, self.lines)):
            if bottom:
                self.index()
            else:
                self.reverse_index()
        self.cursor.y = kept

    def save_cursor(self) -> None:
        """Keep one place: a terminal knows no more."""
        self.savepoints.clear()
        super().save_cursor()

    def start_over(self) -> None:
        """Clear all."""
        self.savepoints.clear()
        self.reset()

    def report_device_status(self, mode: int = 0) -> None:
        """Answer what is asked for; a number that is left out asks for nothing."""
        super().report_device_status(mode)

    def write_process_input(self, data: str) -> None:
        """Keep an answer for the program."""
        if len(self.replies) < MOST_REPLIES:
            self.replies.append(data)


class Screen:
    """One program's screen, fed with what it writes."""

    def __init__(self, columns: int, rows: int) -> None:
        self._surface = Surface(columns, rows)
        self._sequences = Sequences()
        self._shown: list[str] = []
        """The lines at the last look; see `news`."""
        self._counted = 0
        self.takes_pastes = False
        """The program wants to be told where a paste begins and ends."""

    def feed(self, data: bytes) -> str:
        """Draw what the program wrote; gives the answers to what it asked its terminal."""
        for token in self._sequences.feed(data):
            self._draw(token)
        replies, self._surface.replies = self._surface.replies, []
        return "".join(replies)

    @property
    def text(self) -> str:
        """All lines, without blanks at their ends and without empty ones at the bottom."""
        return "\n".join(self._lines()).rstrip()

    def news(self) -> list[str]:
        """Give the lines that are new since the last time, those that have scrolled away meanwhile included."""
        scrolled, passed = list(self._surface.scrolled), self._surface.passed
        self._surface.scrolled.clear()
        lost, self._counted = passed - self._counted - len(scrolled), passed
        before, self._shown = self._shown, self._lines()
        now = [*scrolled, *self._shown]
        matcher = difflib.SequenceMatcher(None, before, now, autojunk=False)
        changes = [change for change in matcher.get_opcodes() if change[0] in ("insert", "replace")]
        found = [line for _, _, _, first, last in changes for line in now[first:last] if line]
        return [f"[{lost} lines went by too quickly]", *found] if lost else found

    def _lines(self) -> list[str]:
        return [self._surface.line(y) for y in range(self._surface.lines)]

    def _draw(self, token: Token) -> None:
        match token.kind:
            case "text":
                self._surface.write(token.text)
            case "control":
                getattr(self._surface, _CONTROLS[token.text])()
            case "escape" if token.text in _ESCAPES:
                getattr(self._surface, _ESCAPES[token.text])()
            case "csi" if token.text in "hl":
                self._switch(token)
            case "csi" if token.text in _MOVES and token.mark in ("", "?") and _is_known(token):
                name, most = _MOVES[token.text]
                getattr(self._surface, name)(*token.numbers[:most])
            case _:
                pass

    def _switch(self, token: Token) -> None:
        on, numbers = token.text == "h", set(token.numbers)
        if token.mark == "?":
            self.takes_pastes = on if PASTES in numbers else self.takes_pastes
            if numbers & _OTHER_SCREENS:
                self._surface.erase_in_display(2)
                self._surface.cursor_position()
        elif token.mark:
            return
        kept = numbers & (_KEPT_PRIVATE if token.mark else _KEPT)
        switch = self._surface.set_mode if on else self._surface.reset_mode
        switch(*kept, private=bool(token.mark))


def _is_known(token: Token) -> bool:
    """Say whether it is what it looks like: private ones but for erasing are something else."""
    if token.mark and token.text not in _ERASES:
        return False
    first = token.numbers[0] if token.numbers else 0
    return first < _ERASES.get(token.text, 10_000)
