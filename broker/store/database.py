"""The database file: opened by one broker at a time, checked, brought to this release's schema.

It owns the one connection that writes and checkpoints. Nothing else in this process may open the file except
through SQLite: closing any other descriptor of it drops the locks (sqlite.org/howtocorrupt.html, 2.2).
"""

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from broker.store import checks
from broker.store.backup import copy
from broker.store.filesystem import Mounts, check_locks, mounts_here, network_kind, sync_names
from broker.store.lock import HomeLock
from broker.store.migrate import Migration, migrate, product_migrations
from broker.store.refusals import refusal
from broker.store.sql import Queries
from wire.clock import Clock
from wire.logs import get_logger
from wire.private_files import make_private_folder

log = get_logger("store")

WAL_ALARM_BYTES: Final = 256 * 1024 * 1024
"""A WAL this big means that something reads without end, or that checkpoints fail."""
WAL_KEPT_BYTES: Final = 64 * 1024 * 1024
"""The WAL file shrinks to this size when it is begun anew."""
AUTOCHECKPOINT_PAGES: Final = 4000
WATCH_EVERY_MS: Final = 1000
ALARM_EVERY_MS: Final = 60_000
BUSY_S: Final = 5.0
"""How long a foreign lock is waited for. None is expected, except by readers where there is no WAL."""

PRAGMAS: Final = (
    "synchronous = FULL",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "mmap_size = 0",
    "temp_store = MEMORY",
    "cache_size = -65536",
    f"wal_autocheckpoint = {AUTOCHECKPOINT_PAGES}",
    f"journal_size_limit = {WAL_KEPT_BYTES}",
)


class Database:
    """The one writing connection of a home. `open_database` makes it; close it after every reader."""

    def __init__(self, path: Path, connection: sqlite3.Connection, queries: Queries, lock: HomeLock | None) -> None:
        self.path = path
        self.connection = connection
        self.queries = queries
        self._lock = lock
        self._watch_at_ms = 0
        self._reclaim_at_ms = 0
        self._alarm_at_ms = 0

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Checkpoint, close, and let the next broker in. A second call does nothing."""
        self.connection.close()
        if self._lock is not None:
            self._lock.release()

    def wal_bytes(self) -> int:
        """Give the size of the write-ahead log; 0 without one."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            return 0

    def reclaim(self, now_ms: int) -> None:
        """Give the room of the write-ahead log back to a disk that is full, at most once a second; never fails."""
        if now_ms < self._reclaim_at_ms:
            return
        self._reclaim_at_ms = now_ms + WATCH_EVERY_MS
        with suppress(sqlite3.Error):  # there may be no room even for that; the next try may find some
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def watch_wal(self, now_ms: int) -> None:
        """Warn of a WAL that grows without bound, at most once a minute."""
        if now_ms < self._watch_at_ms:
            return
        self._watch_at_ms = now_ms + WATCH_EVERY_MS
        size = self.wal_bytes()
        if size > WAL_ALARM_BYTES and now_ms >= self._alarm_at_ms:
            self._alarm_at_ms = now_ms + ALARM_EVERY_MS
            log.warning("wal_grew", wal_bytes=size, alarm_bytes=WAL_ALARM_BYTES)


def open_database(
    path: Path,
    clock: Clock,
    *,
    queries: Queries | None = None,
    migrations: Sequence[Migration] | None = None,
    mounts: Mounts = mounts_here,
) -> Database:
    """Lock the home, check the file, migrate it. A home without a database gets one.

    Raises:
        SecondBroker: another broker runs on this home.
        NotWritable, NotOurs, Damaged, NewerSchema, LocksBroken, MigrationFailed, Full: nothing was changed;
            each says what to do.
    """
    queries = Queries.from_package() if queries is None else queries
    steps = product_migrations() if migrations is None else migrations
    with ExitStack() as undo:
        lock = HomeLock.take(path.with_name(f"{path.name}.lock"))
        undo.callback(lock.release)
        network = network_kind(path.parent, mounts())
        if network is not None:
            check_locks(path.parent)
        checks.prepare_file(path)
        try:
            connection = _connect(path)
            undo.callback(connection.close)
            checks.check(connection, path, queries, newest=len(steps))
            _set_up(connection, path, network)
            migrate(
                connection,
                queries,
                steps,
                lambda version: _back_up(connection, path, clock, version, queries),
            )
        except sqlite3.Error as exc:
            raise refusal(exc) from exc
        sync_names(path.parent)
        undo.pop_all()
    return Database(path, connection, queries, lock)


def memory_database(queries: Queries | None = None, migrations: Sequence[Migration] | None = None) -> Database:
    """Make a database that lives in memory only: real SQLite for simulations of many steps, not durable."""
    queries = Queries.from_package() if queries is None else queries
    connection = _connect(Path(":memory:"))
    migrate(
        connection,
        queries,
        product_migrations() if migrations is None else migrations,
        back_up=lambda _: None,
    )
    return Database(Path(":memory:"), connection, queries, None)


def _connect(path: Path) -> sqlite3.Connection:
    # It is made on one thread and used on another, never on two at once.
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    connection.row_factory = sqlite3.Row
    return connection


def _set_up(connection: sqlite3.Connection, path: Path, network: str | None) -> None:
    wanted = "wal" if network is None else "delete"
    journal = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0]
    if journal != "wal":
        log.warning("wal_unusable", home=str(path.parent), filesystem=network, journal_mode=journal)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _back_up(connection: sqlite3.Connection, path: Path, clock: Clock, version: int, queries: Queries) -> None:
    folder = path.parent / "backups"
    make_private_folder(folder)
    sync_names(path.parent)
    instant = datetime.fromtimestamp(clock.wall_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    copy(connection, folder / f"{path.stem}-schema{version}-{instant}.db", queries)
