"""What publishers of events know, and whether the registry agrees. It talks to no broker."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENDS = ("completed", "error", "cancelled")


@dataclass
class Book:
    """What publishers wrote down over all their lives. Nothing in it comes from the registry."""

    asked: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    """Job and event by number, from before it was given to the outbox."""
    kept: dict[int, int] = field(default_factory=dict[int, int])
    """The sequence number that the outbox gave it, once it had it."""

    @staticmethod
    def read(path: Path) -> "Book":
        """Read a book; a line that a kill has cut is none."""
        book = Book()
        for line in path.read_bytes().splitlines():
            told: list[Any] = json.loads(line) if line.endswith(b"]") else [""]
            if told[0] == "asked":
                book.asked[told[2]] = (told[1], told[3])
            elif told[0] == "kept":
                book.kept[told[2]] = told[3]
        return book


@dataclass(frozen=True)
class Ends:
    """How jobs had ended at a moment: state, time and event of each."""

    of: dict[str, tuple[Any, ...]]


def ends(database: Path) -> Ends:
    """Read how jobs have ended in a store that no broker uses; leaves it as a kill left it."""
    sql = "SELECT id, state, ended_at, ended_by FROM jobs WHERE ended_at IS NOT NULL"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return Ends({row[0]: tuple(row[1:]) for row in connection.execute(sql)})


def altered(before: Ends, now: Ends) -> list[str]:
    """25: what has ended stays as it ended."""
    changed = {job: end for job, end in before.of.items() if now.of.get(job) != end}
    return [f"altered: {job} was {end}, and is {now.of.get(job)}" for job, end in changed.items()]


@dataclass(frozen=True)
class Compared:
    """Where registry and book disagree, in words; and what there was to compare."""

    wrong: list[str]
    events: int
    out_of_order: int
    """Recorded behind one of their claim with a higher number."""


def compare(database: Path, book: Book) -> Compared:
    """Compare a store that no broker uses, and in which everything was recorded, with the book."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM job_events ORDER BY job, epoch, seq").fetchall()
        wrong = [
            *_integrity(connection),
            *_recorded(rows, book),
            *_in_order(rows),
            *_windows(connection),
            *_ended(connection),
        ]
    highest, late = Counter[str](), 0
    for row in sorted(rows, key=lambda row: row["number"]):
        late += row["seq"] < highest[row["job"]]
        highest[row["job"]] = max(highest[row["job"]], row["seq"])
    return Compared(wrong, len(rows), late)


def _integrity(connection: sqlite3.Connection) -> Iterator[str]:
    verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        yield f"integrity: {verdict}"
    for row in connection.execute("PRAGMA foreign_key_check"):
        yield f"integrity: {tuple(row)} refers to nothing"


def _recorded(rows: list[sqlite3.Row], book: Book) -> Iterator[str]:
    """23, 26: what was kept is there once, under its number; nothing is there that nobody published."""
    times = Counter[int]()
    for row in rows:
        number = json.loads(row["data"])["n"]
        times[number] += 1
        if book.asked.get(number) != (row["job"], row["event"]):
            yield f"invented: {row['job']} {row['seq']} says event {number}, which nobody published"
        if book.kept.get(number, row["seq"]) != row["seq"]:
            yield f"numbered: event {number} was kept as {book.kept[number]}, and is there as {row['seq']}"
    yield from (f"twice: event {number} is there {count} times" for number, count in times.items() if count > 1)
    yield from (f"lost: event {number} of {book.asked[number]}" for number in book.kept if number not in times)


def _in_order(rows: list[sqlite3.Row]) -> Iterator[str]:
    """Sequence numbers of a claim begin with 1, have no gap, and are in the order in which events were published."""
    before: dict[tuple[str, int], tuple[int, int]] = {}
    for row in rows:
        claim = (row["job"], row["epoch"])
        seq, number = before.get(claim, (0, 0))
        if row["seq"] != seq + 1:
            yield f"lost: of {row['job']}, between {seq} and {row['seq']}"
        now = json.loads(row["data"])["n"]
        if now <= number:
            yield f"order: {row['job']} {row['seq']} was published before {seq}"
        before[claim] = (row["seq"], now)


def _windows(connection: sqlite3.Connection) -> Iterator[str]:
    """24: the window of a claim is what its events make it."""
    for job in connection.execute("SELECT id, epoch, highest, seen FROM jobs"):
        sql = "SELECT seq FROM job_events WHERE job = ? AND epoch = ?"
        taken = {row["seq"] for row in connection.execute(sql, (job["id"], job["epoch"]))}
        seen = int.from_bytes(job["seen"], "big")
        bits = {job["highest"] - place for place in range(1024) if seen >> place & 1}
        if job["highest"] != max(taken, default=0) or bits != {seq for seq in taken if seq > job["highest"] - 1024}:
            yield f"window: {job['id']} has {job['highest']} with {len(bits)} bits, and {len(taken)} events"


def _ended(connection: sqlite3.Connection) -> Iterator[str]:
    """25: the first end that was recorded is the end; what came behind it is late, or conflicting."""
    for job in connection.execute("SELECT id, state, ended_by FROM jobs"):
        end = None
        for row in connection.execute("SELECT * FROM job_events WHERE job = ? ORDER BY number", (job["id"],)):
            terminal = row["event"] in ENDS
            due = "accepted" if end is None else "conflicting" if terminal else "late"
            if row["verdict"] != due:
                yield f"end: {job['id']} {row['seq']} is {row['verdict']}, not {due}"
            if terminal and end is None:
                end = (row["event"], row["number"])
        if (job["state"], job["ended_by"]) != (end or ("running", None)):
            yield f"end: {job['id']} is {job['state']} by {job['ended_by']}, not {end}"
