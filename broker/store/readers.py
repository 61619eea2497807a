"""Slow reads (lists, search, statistics): a few read-only connections beside the writer, each with a thread.

They see what was committed, in short transactions, and can neither write nor checkpoint.
"""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

import aiosqlite
import anyio

from broker.store.backup import connect_read_only, read_only_uri
from broker.store.refusals import refusal
from broker.store.sql import Queries
from broker.store.tx import Row, SqlValue
from wire.errors import Unavailable
from wire.logs import get_logger

log = get_logger("store")

CONNECTIONS: Final = 2
LIMIT_S: Final = 5.0
"""For waiting, reading and what is awaited in between: an open read keeps the WAL from being reused."""
GIVE_UP_S: Final = 5.0
"""How long an interrupted connection is waited for; with a disk that hangs it comes back later, or never."""
LOOK_EVERY_STEPS: Final = 50_000
"""Steps of SQLite's machine (a few milliseconds) after which a query sees that it was interrupted."""

PRAGMAS: Final = ("trusted_schema = OFF", "mmap_size = 0")


class Reader:
    """One read transaction: every query in it sees the same commit."""

    def __init__(self, connection: aiosqlite.Connection, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries

    async def one(self, query: str, **params: SqlValue) -> Row | None:
        """Give the first row, or None. Every row is read: a query for one says LIMIT 1."""
        rows = await self.all(query, **params)
        return rows[0] if rows else None

    async def all(self, query: str, **params: SqlValue) -> list[Row]:
        """Give every row."""
        return list(await self._connection.execute_fetchall(self._queries[query], params))


class Readers:
    """A pool of read-only connections; an async context manager. Close it before the database."""

    def __init__(
        self,
        path: Path,
        *,
        queries: Queries | None = None,
        connections: int = CONNECTIONS,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._path = path
        self._queries = Queries.from_package() if queries is None else queries
        self._limit_s = limit_s
        self._lanes = [_Lane() for _ in range(connections)]
        self._free = anyio.Semaphore(connections)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> "Readers":
        try:
            # aiosqlite leaves the thread of a connection that cannot be opened to itself: find that out first.
            connect_read_only(self._path).close()
            async with AsyncExitStack() as undo:
                for lane in self._lanes:
                    lane.connection = await undo.enter_async_context(_connect(self._path))
                    await lane.connection.set_progress_handler(lane.is_stopped, LOOK_EVERY_STEPS)
                self._open = undo.pop_all()
        except sqlite3.Error as exc:
            raise refusal(exc) from exc
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.move_on_after(GIVE_UP_S, shield=True) as scope:
            await self._open.aclose()
        if scope.cancelled_caught:
            log.warning("readers_left_open", after_s=GIVE_UP_S)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Reader]:
        """Open one short read transaction.

        Raises:
            Unavailable: it took longer than the limit, with the wait for a connection, and was interrupted.
        """
        with anyio.move_on_after(self._limit_s) as scope:
            async with self._free:
                lane = self._lanes.pop()
                try:
                    yield Reader(await lane.begin(), self._queries)
                except sqlite3.Error as exc:
                    raise refusal(exc) from exc
                finally:
                    await lane.end()
                    self._lanes.append(lane)
        if scope.cancelled_caught:
            raise Unavailable(f"this took longer than {self._limit_s:g} s and was stopped; ask for less, or later")


class _Lane:
    """A connection and the wish that what runs on it stops."""

    connection: aiosqlite.Connection

    def __init__(self) -> None:
        self._stopped = False

    def is_stopped(self) -> int:
        """Asked by SQLite on the connection's thread; unlike an interrupt, it also stops what is queued."""
        return self._stopped

    async def begin(self) -> aiosqlite.Connection:
        if self._stopped:  # its last user gave up before it came back
            await self.connection.rollback()
            self._stopped = False
        await self.connection.execute_fetchall("BEGIN")
        return self.connection

    async def end(self) -> None:
        """Stop what is still running and end the transaction."""
        self._stopped = True
        with anyio.move_on_after(GIVE_UP_S, shield=True):
            await self.connection.rollback()
            self._stopped = False
            return
        log.warning("reader_hangs", after_s=GIVE_UP_S)


@asynccontextmanager
async def _connect(path: Path) -> AsyncGenerator[aiosqlite.Connection]:
    async with aiosqlite.connect(read_only_uri(path), uri=True, isolation_level=None) as connection:
        connection.row_factory = sqlite3.Row
        for pragma in PRAGMAS:
            await connection.execute_fetchall(f"PRAGMA {pragma}")
        yield connection
