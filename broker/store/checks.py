"""Whether a file is a database that this release may open. A file that is refused stays as it is."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from broker.store.migrate import version_of
from broker.store.refusals import DAMAGED, MEND, Damaged, HalfRestored, NewerSchema, NotOurs, NotWritable
from broker.store.sql import Queries
from wire.private_files import FILE_MODE

MAGIC: Final = b"SQLite format 3\0"
RESTORING: Final = ".restoring"
"""Ends the name of a copy that is about to be put in the place of a database."""


def prepare_file(path: Path) -> None:
    """Make the file if it is missing, else see that it begins as a database does.

    Raises:
        NotOurs: it does not. NotWritable: it cannot be opened for writing. HalfRestored: see there.
    """
    if path.with_name(f"{path.name}{RESTORING}").exists():
        raise HalfRestored(
            f"a restore of {path.name} was interrupted: run `queenpost restore FILE` again. What was there before "
            "lies in backups/, if it is not here any more"
        )
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            begins = os.read(descriptor, len(MAGIC))
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise NotWritable(f"cannot write {path}: {exc.strerror}; check its permissions and its disk") from exc
    if begins not in {b"", MAGIC}:
        raise NotOurs(f"{path} is no database: {MEND}; or move it away, and start again without it")


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
            "upgrade queenpost, or `queenpost restore` an older backup"
        )
    if version == 0 and connection.execute(queries["store.first_table"]).fetchone() is not None:
        raise NotOurs(f"{path} is another program's database; name another home")
    verdict = connection.execute(queries["store.quick_check"]).fetchone()[0]
    if verdict != "ok":
        raise Damaged(f"{path}: {DAMAGED} ({verdict})")
    # SQLite opens a file that it may not write without a word, and would refuse the first send.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def check_backup(connection: sqlite3.Connection, path: Path, queries: Queries, *, newest: int) -> None:
    """See that a backup is whole, ours, and not from the future. It may be older: the next start brings it up to date.

    Raises:
        NewerSchema, NotOurs, Damaged: says what to do.
        sqlite3.Error: it is damaged.
    """
    version = version_of(connection)
    if version > newest:
        raise NewerSchema(
            f"{path} was made by a newer Queenpost (schema {version}, this one knows {newest}): "
            "upgrade queenpost, or name an older backup; nothing was changed"
        )
    if version == 0 or connection.execute(queries["store.has_fleet"]).fetchone() is None:
        raise NotOurs(f"{path} is no database of Queenpost; nothing was changed. Name another backup")
    verdict = connection.execute(queries["store.quick_check"]).fetchone()[0]
    if verdict != "ok":
        raise Damaged(f"{path} is damaged ({verdict}); nothing was changed. Name another backup")
