"""The unit that latencies are held against: one row, one durable commit of a bare SQLite on the same disk."""

import sqlite3
from contextlib import closing
from pathlib import Path
from time import perf_counter

from benchmarks.fleet import BODY


def one_row_commits(path: Path, count: int) -> list[float]:
    """Give how long each of so many commits takes, in seconds: WAL, synchronous = FULL, nothing else."""
    taken: list[float] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE IF NOT EXISTS letters (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
        for _ in range(count):
            started = perf_counter()
            db.execute("INSERT INTO letters (body) VALUES (?)", (BODY,))
            taken.append(perf_counter() - started)
    return taken
