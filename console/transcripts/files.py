"""The transcripts of one agent: which turns there are, and their lines, also while they are written.

It only reads, and it needs no running fleet. The harness keeps the newest ones, bounded, with secrets masked.
"""

import os
import re
from pathlib import Path

CHUNK_BYTES = 256 * 1024

_NAME = re.compile(r"t[1-9]\d*\.log")


def turns_in(folder: Path) -> list[str]:
    """Name the turns of which there is a transcript, the newest last."""
    found: list[tuple[int, int, str]] = []
    for path in folder.glob("t*.log"):
        if not _NAME.fullmatch(path.name):
            continue
        try:
            found.append((path.stat().st_mtime_ns, int(path.stem[1:]), path.stem))
        except FileNotFoundError:
            continue  # one of the oldest, deleted while we looked
    return [turn for _, _, turn in sorted(found)]


class Tail:
    """The transcript of one turn; `new` gives the lines that came since the last look."""

    def __init__(self, folder: Path, turn: str) -> None:
        self.turn = turn
        self._path = folder / f"{turn}.log"
        self._read = 0
        self._rest = b""

    def new(self) -> list[str]:
        """Give the new lines that are whole. A file that is gone has none."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        chunks = [self._rest]
        try:
            while chunk := os.pread(file, CHUNK_BYTES, self._read):
                self._read += len(chunk)
                chunks.append(chunk)
        finally:
            os.close(file)
        *lines, self._rest = b"".join(chunks).split(b"\n")
        return [line.decode(errors="replace").removesuffix("\r") for line in lines]

    def rest(self) -> list[str]:
        """Give what was written behind the last line, and will not be whole any more."""
        rest, self._rest = self._rest, b""
        return [rest.decode(errors="replace")] if rest else []
