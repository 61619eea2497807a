"""The end of what Codex wrote to stderr, for whoever has to see why it ended."""

import re

KEPT_BYTES = 4000
SHOWN_CHARACTERS = 600
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\S+\s+\w+\s+")
_BACKTRACE = "Stack backtrace:"
_HARMLESS = "could not find bubblewrap"


class LastWords:
    """Bounded, and readable: without colours and time stamps."""

    def __init__(self) -> None:
        self._kept = b""

    def add(self, data: bytes) -> None:
        """It wrote more."""
        self._kept = (self._kept + data)[-KEPT_BYTES:]

    def clear(self) -> None:
        """Another process begins."""
        self._kept = b""

    @property
    def all(self) -> str:
        """What is kept, as one line: the program spreads what went wrong over several."""
        text = _COLOUR.sub("", self._kept.decode(errors="replace"))
        text = text.partition(_BACKTRACE)[0]
        lines = (_STAMP.sub("", line.strip()) for line in text.split("\n"))
        return " ".join(line for line in lines if line and _HARMLESS not in line)

    @property
    def last(self) -> str:
        """The end of it, short enough for a reason."""
        return self.all[-SHOWN_CHARACTERS:]
