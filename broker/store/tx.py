"""What a command sees of the database: one transaction, one instant, named queries, and effects.

A command changes nothing but the database. What the rest of the broker has to do because of it is an
effect: recorded here, applied after the commit, gone with the savepoint if the command is rolled back.
It knows nothing of savepoints, batches and threads; `broker.store.transaction` and `group` do.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.store.sql import Queries
from wire.fleet import Push

Row = sqlite3.Row
SqlValue = str | bytes | int | float | None
"""What SQLite stores; a bool is an int."""


@dataclass(init=False, slots=True)
class Effects:
    """What has to happen on the loop after the commit."""

    woken: set[str]
    """Agents that may have eligible mail now."""
    pushes: list[Push]
    logs: list[tuple[str, dict[str, Any]]]
    due: bool
    """A due time changed."""
    posts: bool
    """There is something for the bridge to do: to publish, or the first job to be heard."""

    def __init__(self) -> None:  # by hand: there is one for every command, and factories take four times as long
        self.woken = set()
        self.pushes = []
        self.logs = []
        self.due = False
        self.posts = False

    def add(self, later: "Effects") -> None:
        """Take in the effects of a command that came after."""
        self.woken |= later.woken
        self.pushes += later.pushes
        self.logs += later.logs
        self.due = self.due or later.due
        self.posts = self.posts or later.posts


class Tx:
    """One transaction, or the part of it that one command sees. Of no use after the command has returned."""

    __slots__ = ("_connection", "_lazy", "_queries", "effects", "now_ms", "statements")

    def __init__(self, connection: sqlite3.Connection, queries: Queries, now_ms: int) -> None:
        self._connection = connection
        self._queries = queries
        self._lazy: list[sqlite3.Cursor] = []
        self.now_ms = now_ms
        self.statements = 0
        self.effects = Effects()

    def one(self, query: str, **params: SqlValue) -> Row | None:
        """Give the first row, or None."""
        cursor = self._execute(query, params)
        try:
            return cursor.fetchone()
        finally:
            cursor.close()

    def all(self, query: str, **params: SqlValue) -> list[Row]:
        """Give every row."""
        return self._execute(query, params).fetchall()

    def each(self, query: str, **params: SqlValue) -> Iterator[Row]:
        """Give the rows one by one, read only as far as the caller asks."""
        cursor = self._execute(query, params)
        self._lazy.append(cursor)
        yield from cursor

    def run(self, query: str, **params: SqlValue) -> int:
        """Change something; gives how many rows were changed."""
        before = self._connection.total_changes
        changed = self._execute(query, params).rowcount
        # sqlite3 counts no rows for a statement that begins with WITH.
        return changed if changed >= 0 else self._connection.total_changes - before

    def run_each(self, query: str, rows: Sequence[Mapping[str, SqlValue]]) -> int:
        """Change something once for each set of parameters, as one statement; gives how many rows were changed."""
        self.statements += 1
        return self._connection.executemany(self._queries[query], rows).rowcount

    def insert(self, query: str, **params: SqlValue) -> int:
        """Insert one row; gives its rowid.

        Raises:
            RuntimeError: nothing was inserted, so there is no rowid; use `run` where that may be.
        """
        before = self._connection.total_changes
        row = self._execute(query, params).lastrowid
        if row is None or self._connection.total_changes == before:
            raise RuntimeError(f"{query} inserted nothing")
        return row

    def woke(self, agent: str) -> None:
        """Effect: this agent may have eligible mail now; its parked tickets are run again."""
        self.effects.woken.add(agent)

    def push(self, push: Push) -> None:
        """Effect: tell connections, after the commit."""
        self.effects.pushes.append(push)

    def log(self, event: str, **fields: Any) -> None:
        """Effect: one log line, after the commit."""
        self.effects.logs.append((event, fields))

    def revise_due(self) -> None:
        """Effect: a due time changed (lease, back-off). Implied wherever something was written."""
        self.effects.due = True

    def post(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Queue something to be published, and tell the bridge after the commit."""
        self.run("jobs.post", topic=topic, payload=payload, retain=int(retain))
        self.effects.posts = True

    def needs_bridge(self) -> None:
        """Effect: somebody may publish events from now on."""
        self.effects.posts = True

    def end(self) -> None:
        """Close what `each` left open: a statement that still reads would keep the WAL from being reused."""
        for cursor in self._lazy:
            cursor.close()

    def _execute(self, query: str, params: dict[str, SqlValue]) -> sqlite3.Cursor:
        self.statements += 1
        return self._connection.execute(self._queries[query], params)
