"""What a line of a transcript tells, whatever program wrote it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["said", "thought", "told", "called", "returned", "wrote", "noted", "failed", "ended"]
"""The model said or thought something, was told something, called a tool, got its result; the program wrote a plain
line, noted something about itself, failed at something; the turn ended by the program's own word."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened in a turn. All of it is the program's word, and nobody has looked at it."""

    kind: Kind
    text: str = ""
    name: str = ""
    """Of the tool."""
    bad: bool = False
    """A result that is an error; an end that is a failure."""
    more: bool = False
    """The next one of this kind goes on in the same line: the text comes in pieces."""
