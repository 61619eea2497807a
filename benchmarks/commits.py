"""The unit that latencies are held against: one row, one durable commit of a bare SQLite on the same disk."""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter

from benchmarks.fleet import BODY


def one_row_commits(path: Path, count: int) -> list[float]:
    """Give how long each of so many commits takes, in seconds: WAL, synchronous = FULL, nothing else."""
    with committing(path) as commits:
        return commits(count)


@contextmanager
def committing(path: Path) -> Generator[Callable[[int], list[float]]]:
    """The same for one connection that commits some now and then."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE IF NOT EXISTS letters (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")

        def commits(count: int) -> list[float]:
            taken: list[float] = []
            for _ in range(count):
                started = perf_counter()
                db.execute("INSERT INTO letters (body) VALUES (?)", (BODY,))
                taken.append(perf_counter() - started)
            return taken

        yield commits
