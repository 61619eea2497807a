"""Whether a file is a database that this release may open. A file that is refused stays as it is."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from broker.store.migrate import version_of
from broker.store.refusals import DAMAGED, Damaged, NewerSchema, NotOurs, NotWritable
from broker.store.sql import Queries
from wire.private_files import FILE_MODE

MAGIC: Final = b"SQLite format 3\0"


def prepare_file(path: Path) -> None:
    """Make the file if it is missing, else see that it begins as a database does.

    Raises:
        NotOurs: it does not. NotWritable: it cannot be opened for writing.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            begins = os.read(descriptor, len(MAGIC))
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise NotWritable(f"cannot write {path}: {exc.strerror}; check its permissions and its disk") from exc
    if begins not in {b"", MAGIC}:
        raise NotOurs(f"{path} is no database; move it away, then start again or put a backup in its place")


def check(connection: sqlite3.Connection, path: Path, queries: Queries, *, newest: int) -> None:
    """See that a database is whole, writable, ours, and not from the future.

    Raises:
        NewerSchema, NotOurs, Damaged: says what to do.
        sqlite3.Error: so does `refusals.refusal` of it.
    """
    version = version_of(connection)
    if version > newest:
        raise NewerSchema(
            f"{path} was made by a newer Queenpost (schema {version}, this one knows {newest}): "
            "upgrade queenpost, or put a file of backups/ in its place"
        )
    if version == 0 and connection.execute(queries["store.first_table"]).fetchone() is not None:
        raise NotOurs(f"{path} is another program's database; name another home")
    verdict = connection.execute(queries["store.quick_check"]).fetchone()[0]
    if verdict != "ok":
        raise Damaged(f"{path}: {DAMAGED} ({verdict})")
    # SQLite opens a file that it may not write without a word, and would refuse the first send.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
