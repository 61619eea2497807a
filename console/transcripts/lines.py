"""A line of a transcript, whatever program wrote it: by its shape one sees whose it is."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from console.transcripts import acp, claude, codex, gemini, opencode
from console.transcripts.happening import Happening
from console.transcripts.shapes import Record, record_of

FORMATS: tuple[Callable[[Record], list[Happening] | None], ...] = (
    claude.read,
    acp.read,
    codex.read,
    opencode.read,
    gemini.read,
)

WORDS = ("said", "thought", "told")
"""Without a text, these are nothing."""


def read_line(line: str) -> list[Happening]:
    """Tell what one line says: nothing, one thing, or several. A line of no known format is plain output.

    Never raises, whatever the line is.
    """
    record = record_of(line)
    if record is not None:
        for read in FORMATS:
            if (happened := read(record)) is not None:
                return [one for one in happened if one.text or one.kind not in WORDS]
    return [Happening("wrote", line)] if line.strip() else []


def joined(happened: Iterable[Happening]) -> list[Happening]:
    """Put texts that came in pieces together."""
    whole: list[Happening] = []
    for one in happened:
        if whole and whole[-1].more and whole[-1].kind == one.kind:
            whole[-1] = replace(one, text=whole[-1].text + one.text)
        else:
            whole.append(one)
    return whole
