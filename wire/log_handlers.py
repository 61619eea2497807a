"""Where log records go: one line on the console, JSON lines in a file that rotates. And what they never show.

A record is never worth a crash: what cannot be written is given up, and said once.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from time import time
from typing import Any, TextIO, cast

from pydantic_core import to_json

from wire.log_lines import render_line

OURS = "queenpost"
"""Our loggers live below this one; everything outside it is a library."""
MAX_FILE_BYTES = 16 * 1024 * 1024
FILES = 5
"""The current file and those before it."""
Event = tuple[str, Mapping[str, object]]
"""What happened, and its fields."""
MASKED = frozenset({"token", "secret", "authorization", "password", "body"})
"""A field of this name, or of a name that ends in `_` and this, never shows its value."""


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """One line for a person per record."""

    def __init__(self, stream: TextIO, program: str, *, colour: bool) -> None:
        super().__init__(stream)
        self._program = program
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Stdlib: give the line of a record."""
        return render_line(_as_dict(record, self._program), colour=self._colour, now=datetime.now().astimezone())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is stdlib's
        """Stdlib: writing raised. There is nowhere left to say so."""


class FileHandler(logging.Handler):
    """JSON lines in a file of mode 0600. Unbuffered: what was logged is there after a kill."""

    def __init__(self, path: Path, program: str) -> None:
        super().__init__()
        self._path = path
        self._program = program
        self._file: int | None = None
        self._size = 0
        self._gap = b""
        """Ends a line that a full disk cut short."""
        self._complained = False

    def emit(self, record: logging.LogRecord) -> None:
        """Stdlib: write a record."""
        try:
            self._append(_encoded(_as_dict(record, self._program)))
        except Exception:  # noqa: BLE001  # a record may hold anything, and none is worth a crash
            self.handleError(record)

    def write(self, level: str, logger: str, events: Sequence[Event]) -> None:
        """Write what happened at this moment, without a record for each and with one system call for all."""
        try:
            now = time()
            lines = b"".join(_encoded(_line(now, level, self._program, logger, *event)) for event in events)
            with self.lock or nullcontext():
                self._append(lines)
        except Exception:  # noqa: BLE001  # as in `emit`
            self._complain()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is stdlib's
        """Stdlib: writing raised."""
        self._complain()

    def _complain(self) -> None:
        """Say it once, or a full disk would fill the console too."""
        if not self._complained:
            self._complained = True
            with suppress(OSError, ValueError):
                sys.stderr.write(f"queenpost: cannot write the log {self._path}: {sys.exc_info()[1]}\n")

    def close(self) -> None:
        """Stdlib: no more records."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        super().close()

    def _append(self, lines: bytes) -> None:
        lines = self._gap + lines
        if self._size + len(lines) > MAX_FILE_BYTES:
            self._rotate()
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.fchmod(self._file, 0o600)
            self._size = os.fstat(self._file).st_size
        written = os.write(self._file, lines)
        self._size += written
        self._gap = b"" if written == len(lines) else b"\n"

    def _rotate(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, FILES))]
        for newer, older in zip(names[-2::-1], names[:0:-1], strict=True):
            with suppress(FileNotFoundError):
                newer.replace(older)
        self._size = 0


def _as_dict(record: logging.LogRecord, program: str) -> dict[str, Any]:
    """Give a record as it stands in the file, masked."""
    logger = record.name.removeprefix(f"{OURS}.")
    fields = cast("Mapping[str, object]", getattr(record, "fields", {}))
    line = _line(record.created, record.levelname.lower(), program, logger, record.getMessage(), fields)
    if record.exc_info and record.exc_info[1]:
        line["exception"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        line["traceback"] = _TRACEBACKS.formatException(record.exc_info)
    return line


_TRACEBACKS = logging.Formatter()


def _line(
    instant: float, level: str, program: str, logger: str, event: str, fields: Mapping[str, object]
) -> dict[str, Any]:
    line: dict[str, Any] = {
        "time": f"{_second(int(instant))}.{int(instant % 1 * 1000):03d}+00:00",
        "level": level,
        "program": program,
        "logger": logger,
        "event": event,
    }
    for name, value in fields.items():
        line[f"{name}_" if name in line else name] = _masked(name, value)
    return line


def _encoded(line: dict[str, Any]) -> bytes:
    try:
        return to_json(line, fallback=str) + b"\n"
    except ValueError:  # bytes or half a surrogate pair: no JSON without a little help
        text = json.dumps(line, ensure_ascii=False, default=str)
        return text.encode("utf-8", "backslashreplace") + b"\n"


@lru_cache(maxsize=2)
def _second(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=1024)
def _is_masked(name: str) -> bool:
    return name.lower().rpartition("_")[2] in MASKED


def _masked(name: str, value: object) -> object:
    if _is_masked(name):
        return "***"
    if type(value) is str or type(value) is int:
        return value
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {str(key): _masked(str(key), inner) for key, inner in items}
    return value
