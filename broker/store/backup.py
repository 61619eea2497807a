"""Online copies of a database: whole, checked, durable and private, or not there at all.

A backup of a running broker reads through a connection of its own, opened read-only: it sees one snapshot
and holds up neither sends nor turns, at the price that the WAL cannot be reused until it is done. The backup
before a migration reads through the writing connection, as nothing else runs then.
"""

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from broker.store.filesystem import sync_names
from broker.store.refusals import Damaged, refusal
from broker.store.sql import Queries
from wire.errors import Conflict, Unavailable
from wire.private_files import FILE_MODE


def back_up(path: Path, target: Path, queries: Queries) -> None:
    """Copy the database at path into a new file. Blocks for as long as the copying takes; run it in a thread.

    Raises:
        Conflict: the target is there already.
        Full, Unavailable: it could not be written; nothing is left of it.
    """
    with closing(connect_read_only(path)) as connection:
        copy(connection, target, queries)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a connection that can neither write nor checkpoint."""
    return sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None, check_same_thread=False)


def read_only_uri(path: Path) -> str:
    """Name a database so that SQLite opens it read-only; a `query_only` connection could still checkpoint."""
    return f"{path.absolute().as_uri()}?mode=ro"


def copy(connection: sqlite3.Connection, target: Path, queries: Queries) -> None:
    """Copy what a connection sees into a new file; see `back_up`."""
    if target.exists():
        raise Conflict(f"{target} is there already; name another file")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        _fill(connection, temporary, queries)
        _sync_file(temporary)
        temporary.replace(target)
        sync_names(target.parent)
    except OSError as exc:
        raise Unavailable(f"cannot write {target}: {exc.strerror}; name a folder that you can write to") from exc
    except sqlite3.Error as exc:
        raise refusal(exc) from exc
    finally:
        temporary.unlink(missing_ok=True)


def _fill(connection: sqlite3.Connection, temporary: Path, queries: Queries) -> None:
    with closing(sqlite3.connect(temporary, isolation_level=None)) as destination:
        # It is made durable as a whole before it gets its name.
        destination.execute("PRAGMA synchronous = OFF")
        connection.backup(destination)
        # One file, that can be moved and put in place without its -wal.
        destination.execute("PRAGMA journal_mode = DELETE")
        verdict = destination.execute(queries["store.quick_check"]).fetchone()[0]
    if verdict != "ok":
        raise Damaged(f"the copy is damaged ({verdict}): the database or the disk is; look at the broker's log")


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
