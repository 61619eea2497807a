"""Online copies of a database: whole, checked, durable and private, or not there at all.

A backup of a running broker reads through a connection of its own, opened read-only: it sees one snapshot
and holds up neither sends nor turns, at the price that the WAL cannot be reused until it is done. The backup
before a migration reads through the writing connection, as nothing else runs then.
"""

import errno
import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from broker.store.filesystem import sync_names
from broker.store.refusals import Damaged, refusal
from broker.store.sql import Queries
from wire.errors import Conflict, Full, QueenpostError, Unavailable
from wire.private_files import FILE_MODE

PAGES_AT_ONCE: Final = 2000
"""Eight MiB or so, after which a copy looks whether it is still wanted."""
LOOK_EVERY_STEPS: Final = 100_000

BROKEN_COPY: Final = "the copy is damaged ({}): the database or the disk is; look at the broker's log"
NO_ROOM: Final = "no space for {}: free some, or name a folder on another disk; nothing was left behind"


class Stopped(Unavailable):
    """The copy is not wanted any more; nothing is left of it."""


def never() -> bool:
    """The copy is wanted to its end."""
    return False


def back_up(path: Path, target: Path, queries: Queries, stopped: Callable[[], bool] = never) -> None:
    """Copy the database at path into a new file. Blocks for as long as the copying takes; run it in a thread.

    `stopped` is asked now and then, on that thread, whether to give up.

    Raises:
        Conflict: the target is there already.
        Full, Unavailable: it could not be written, or was stopped; nothing is left of it.
        Damaged: what was copied is; nothing is left of it.
    """
    try:
        with closing(connect_read_only(path)) as connection:
            # One snapshot from the first page to the last, however much is committed meanwhile.
            connection.execute("BEGIN")
            connection.execute(queries["store.first_table"]).fetchone()
            copy(connection, target, queries, stopped)
    except sqlite3.Error as exc:
        raise refusal(exc) from exc


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a connection that can neither write nor checkpoint."""
    return sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None, check_same_thread=False)


def read_only_uri(path: Path) -> str:
    """Name a database so that SQLite opens it read-only; a `query_only` connection could still checkpoint."""
    return f"{path.absolute().as_uri()}?mode=ro"


def copy(connection: sqlite3.Connection, target: Path, queries: Queries, stopped: Callable[[], bool] = never) -> None:
    """Copy what a connection sees into a new file; see `back_up`."""
    if os.path.lexists(target):
        raise Conflict(f"{target} is there already; name another file")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        _fill(connection, temporary, queries, stopped)
        _sync_file(temporary)
        temporary.replace(target)
        sync_names(target.parent)
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Full(NO_ROOM.format(target)) from exc
        raise Unavailable(f"cannot write {target}: {exc.strerror}; name a folder that you can write to") from exc
    except sqlite3.Error as exc:
        raise _answer(exc, target, stopped) from exc
    finally:
        for left in (temporary, temporary.with_name(f"{temporary.name}-journal")):
            with suppress(OSError):
                left.unlink()


def _fill(connection: sqlite3.Connection, temporary: Path, queries: Queries, stopped: Callable[[], bool]) -> None:
    def look(_status: int, _remaining: int, _total: int) -> None:
        if stopped():
            raise Stopped("the copy was stopped; nothing is left of it")

    with closing(sqlite3.connect(temporary, isolation_level=None)) as destination:
        # It is made durable as a whole before it gets its name.
        destination.execute("PRAGMA synchronous = OFF")
        connection.backup(destination, pages=PAGES_AT_ONCE, progress=look)
        destination.set_progress_handler(stopped, LOOK_EVERY_STEPS)
        # One file, that can be moved and put in place without its -wal.
        destination.execute("PRAGMA journal_mode = DELETE")
        verify(destination, queries)


def verify(connection: sqlite3.Connection, queries: Queries) -> None:
    """See that a copy is whole, and that what refers to something finds it.

    Raises:
        Damaged: it is not.
    """
    verdict = connection.execute(queries["store.quick_check"]).fetchone()[0]
    if verdict != "ok":
        raise Damaged(BROKEN_COPY.format(verdict))
    broken = connection.execute(queries["store.broken_references"]).fetchone()
    if broken is not None:
        raise Damaged(BROKEN_COPY.format(f"a row of {broken[0]} refers to one of {broken[2]} that does not exist"))


def _answer(exc: sqlite3.Error, target: Path, stopped: Callable[[], bool]) -> QueenpostError:
    if stopped():
        return Stopped("the copy was stopped; nothing is left of it")
    answer = refusal(exc)
    return Full(NO_ROOM.format(target)) if isinstance(answer, Full) else answer


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
