"""What a program writes to its terminal, cut into text and the few control sequences that move or erase something.

Colours, titles, queries of newer terminals and whatever is no sequence are left out here: the program is not trusted,
and what comes behind draws whatever it is told. Bounded: an unfinished sequence is held back, a long one is dropped.
"""

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

MOST_HELD = 4096
"""Characters of a sequence that has not ended; a title or a picture may be longer, and is nothing to us."""

_TOKEN = re.compile(
    r"""
    (?P<text> [^\x00-\x1f\x7f-\x9f]+ )
    | (?P<control> [\x08-\x0d] )
    | \x1b\[ (?P<mark>[<=>?]?) (?P<numbers>[0-9:;<=>?]*) (?P<between>[\x20-/]*) (?P<final>[@-~])
    | (?P<string> \x1b[\]PX^_] [^\x07\x18\x1a\x1b]* (?: [\x07\x18\x1a] | \x1b\\ ) )
    | \x1b [\x20-/]+ [0-~]
    | \x1b (?P<short> [0-OQ-WYZ\\`-~] )
    """,
    re.VERBOSE,
)
_UNFINISHED = re.compile(
    r"\x1b (?: \[ [0-?]* [\x20-/]* | [\]PX^_] [^\x07\x18\x1a\x1b]* \x1b? | [\x20-/]* )", re.VERBOSE
)
_STRING_END = re.compile(r"[\x07\x18\x1a]|\x1b\\|\x1b(?=[^\\])")
_NUMBERS = re.compile(r"(?:\d{0,4})(?:;\d{0,4}){0,15}")


class Token(NamedTuple):
    """One piece."""

    kind: str
    """`text`, `control`, `csi` or `escape`."""
    text: str
    """The text, or the character that says what it is."""
    mark: str = ""
    """Of a CSI sequence, where it is a private one: `?` or another."""
    numbers: tuple[int, ...] = ()


class Sequences:
    """One stream of bytes."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._held = ""
        self._skipping = False
        """Within a string whose beginning was dropped."""

    def feed(self, data: bytes) -> Iterator[Token]:
        """Give what these bytes complete."""
        text = self._held + self._decode(data)
        self._held = ""
        at = self._skip(text) if self._skipping else 0
        while at < len(text):
            if (found := _TOKEN.match(text, at)) is not None:
                at = found.end()
                if (token := _token(found)) is not None:
                    yield token
            elif text[at] == "\x1b" and _UNFINISHED.fullmatch(text, at):
                self._hold(text[at:])
                return
            else:
                at += 1

    def _hold(self, rest: str) -> None:
        if len(rest) <= MOST_HELD:
            self._held = rest
        elif rest[1] in "]PX^_":
            self._skipping = True
            self._held = "\x1b" if rest.endswith("\x1b") else ""

    def _skip(self, text: str) -> int:
        """Give where the string ends that is passed over."""
        if (end := _STRING_END.search(text)) is not None:
            self._skipping = False
            return end.end() if end[0] != "\x1b" else end.start()
        self._held = "\x1b" if text.endswith("\x1b") else ""
        return len(text)


def _token(found: re.Match[str]) -> Token | None:
    if (text := found["text"] or found["control"]) is not None:
        return Token("text" if found["text"] else "control", text)
    if found["short"] is not None:
        return Token("escape", found["short"])
    if found["final"] is None or found["between"] or not _NUMBERS.fullmatch(found["numbers"]):
        return None
    numbers = found["numbers"]
    return Token("csi", found["final"], found["mark"], tuple(int(one or 0) for one in numbers.split(";") if numbers))
