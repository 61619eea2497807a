"""The log files of a home: read as one story in the order of time, and followed while programs write them.

It only reads, and it needs no running fleet. What a record looks like on a line is `wire.logs.render_line`.
"""

import heapq
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, cast

Record = dict[str, Any]
"""One line of a file. All have `time` (ISO in UTC to the millisecond: sorts as text), `program`, `event`."""

SUFFIX = ".ndjson"


def time_of(record: Record) -> str:
    """Give the time of a record, in the form in which records sort."""
    return str(record.get("time", ""))


def programs_in(folder: Path, wanted: Collection[str] = ()) -> list[str]:
    """Name the programs that have a log here: all, or the wanted ones (`harness` is also `harness-bob`)."""
    found = sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
    return [name for name in found if not wanted or name in wanted or name.partition("-")[0] in wanted]


def read_all(folder: Path, programs: Collection[str] = ()) -> Iterator[Record]:
    """Give every record that is kept, merged by time, rotated files too."""
    found = programs_in(folder, programs)
    return heapq.merge(*(_records_of(folder, program) for program in found), key=time_of)


def _records_of(folder: Path, program: str) -> Iterator[Record]:
    for path in _oldest_first(folder, program):
        try:
            with path.open("rb") as file:
                yield from (parse(line, program) for line in file)
        except FileNotFoundError:
            continue  # rotated away while we read the one before


def _oldest_first(folder: Path, program: str) -> list[Path]:
    rotated = [
        (int(path.suffix[1:]), path) for path in folder.glob(f"{program}{SUFFIX}.*") if path.suffix[1:].isdigit()
    ]
    return [path for _, path in sorted(rotated, reverse=True)] + [folder / f"{program}{SUFFIX}"]


def parse(line: bytes, program: str) -> Record:
    """Read one line; one that is damaged is a record too, that says so."""
    try:
        record: Any = json.loads(line)
    except ValueError:
        record = None
    if isinstance(record, dict):
        return cast("Record", record)
    text = line[:200].decode(errors="replace").strip()
    return {"time": "", "level": "error", "program": program, "event": "damaged_line", "text": text}


class Follower:
    """Everything that is written from the moment it is made; `new` gives what came since the last look."""

    def __init__(self, folder: Path, programs: Collection[str] = (), *, from_start: bool = False) -> None:
        self._folder = folder
        self._programs = programs
        self._tails: dict[str, _Tail] = {}
        if not from_start:
            self.new()

    def new(self) -> list[Record]:
        """Give the new records of all programs, merged by time; a program that starts later is noticed."""
        for program in programs_in(self._folder, self._programs):
            if program not in self._tails:
                self._tails[program] = _Tail(self._folder / f"{program}{SUFFIX}", program)
        return sorted((record for tail in self._tails.values() for record in tail.new()), key=time_of)

    def close(self) -> None:
        """Close the files."""
        for tail in self._tails.values():
            tail.close()


class _Tail:
    """The end of one file, across rotations."""

    def __init__(self, path: Path, program: str) -> None:
        self._path = path
        self._program = program
        self._file: int | None = None
        self._rest = b""

    def new(self) -> Iterator[Record]:
        yield from self._read()
        if self._was_rotated():
            # What was written to the old file between the two looks, then the new one from its start.
            yield from self._read()
            self.close()
            self._open()
            yield from self._read()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._file = None
        self._rest = b""

    def _read(self) -> Iterator[Record]:
        if self._file is None:
            self._open()
        while self._file is not None and (chunk := os.read(self._file, 256 * 1024)):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            yield from (parse(line, self._program) for line in lines)

    def _was_rotated(self) -> bool:
        if self._file is None:
            return False
        try:
            return os.fstat(self._file).st_ino != self._path.stat().st_ino
        except FileNotFoundError:
            return False  # between the two renames; the next look sees the new file
