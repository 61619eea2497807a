"""Structured logs: an event with keywords, as JSON lines in a file and as one readable line on the console.

It goes through stdlib logging, so that libraries end up in the same places. Importing it sets nothing up: a
program calls `configure` once. No record is worth a crash: what cannot be written is given up, and said once.
"""

import logging
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from time import time
from typing import TextIO

from wire.log_handlers import OURS, ConsoleHandler, Event, FileHandler
from wire.log_lines import render_line

__all__ = ["Log", "bind", "configure", "get_logger", "render_line"]

LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "mcp", "websockets")
"""They may bring handlers of their own, which are taken away, and below WARNING they tell what is said."""

_bound: ContextVar[Mapping[str, object] | None] = ContextVar("bound_log_fields", default=None)


class Log:
    """Writes events. An event is a constant in past-tense snake_case; what varies is a keyword."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger = logging.getLogger(f"{OURS}.{name}")

    def debug(self, event: str, /, **fields: object) -> None:
        """Say what only a developer wants to know."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Say what happened."""
        self._write(logging.INFO, event, fields)

    def relay(self, events: Sequence[Event]) -> None:
        """Say what happened, in the words of commands that could not say it themselves before their commit."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        for handler in logging.getLogger().handlers:
            if isinstance(handler, FileHandler):
                handler.write("info", self._name, events)
            elif handler.level <= logging.INFO:
                for event, fields in events:
                    handler.handle(_Record(self._logger.name, logging.INFO, event, fields, exc_info=False))

    def warning(self, event: str, /, **fields: object) -> None:
        """Say what an operator may want to look at."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Say what went wrong."""
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """Say what went wrong, with the exception that is being handled."""
        self._write(logging.ERROR, event, fields, exc_info=True)

    def _write(self, level: int, event: str, fields: dict[str, object], *, exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            bound = _bound.get()
            fields = {**bound, **fields} if bound else fields
            self._logger.handle(_Record(self._logger.name, level, event, fields, exc_info=exc_info))


_BLANK = vars(logging.LogRecord("", 0, "", 0, "", (), None))


class _Record(logging.LogRecord):
    """A record without what no line shows: stdlib would look for our caller on the stack, and at thread and process."""

    def __init__(self, name: str, level: int, event: str, fields: Mapping[str, object], *, exc_info: bool) -> None:
        self.__dict__.update(_BLANK)
        self.name = name
        self.levelno = level
        self.levelname = logging.getLevelName(level)
        self.msg = event
        self.created = time()
        self.exc_info = sys.exc_info() if exc_info else None
        self.fields = fields
        """What varies."""


def get_logger(name: str) -> Log:
    """Give the log of a part of a program, such as `turn_loop`."""
    return Log(name)


@contextmanager
def bind(**fields: object) -> Generator[None]:
    """Put fields into every event that is logged inside, also by tasks that are started inside."""
    token = _bound.set({**(_bound.get() or {}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def configure(
    program: str,
    *,
    folder: Path | None,
    console: TextIO | None,
    env: Mapping[str, str],
    level: int = logging.INFO,
) -> None:
    """Send all logs to `<folder>/<program>.ndjson` and to the console, and nowhere else from now on.

    A console that is no terminal hears only from WARNING on where there is a file: those are its last words, all
    else is in the file. Libraries are heard from WARNING on. Two processes must not share folder and program name:
    both would rotate the file. Of `env` only NO_COLOR matters.
    """
    logging.raiseExceptions = False
    root = logging.getLogger()
    for name in LIBRARIES:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    if console is not None:
        lines = ConsoleHandler(console, program, colour=console.isatty() and not env.get("NO_COLOR"))
        if folder is not None and not console.isatty():
            lines.setLevel(logging.WARNING)
        root.addHandler(lines)
    if folder is not None:
        root.addHandler(FileHandler(folder / f"{program}.ndjson", program))
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(level)
