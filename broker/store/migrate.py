"""Migrations: numbered files, forward only, one transaction each, recorded in `PRAGMA user_version`."""

import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from broker.store.refusals import MigrationFailed
from broker.store.sql import Queries, QueryError

_FILE: Final = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")

FAILED: Final = (
    "migration {:04} ({}) failed: {}. The database is unharmed: go back to the release you had; "
    "if that refuses it as too new, put the newest file of backups/ there"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema. Its SQL begins and ends no transaction of its own."""

    number: int
    name: str
    sql: str


@cache
def product_migrations() -> tuple[Migration, ...]:
    """Read the product's own, in their order.

    Raises:
        QueryError: a number is missing or there twice.
    """
    found: list[Migration] = []
    for path in (files("broker.store") / "migrations").iterdir():
        match = _FILE.match(path.name)
        if match is not None:
            found.append(Migration(int(match[1]), match[2], path.read_text("utf-8")))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise QueryError("broker/store/migrations has to hold the numbers 0001, 0002, … once each, without a gap")
    return tuple(found)


def version_of(connection: sqlite3.Connection) -> int:
    """Give the number of the last migration that a database has had; 0 for a new one."""
    return connection.execute("PRAGMA user_version").fetchone()[0]


def migrate(
    connection: sqlite3.Connection,
    queries: Queries,
    migrations: Sequence[Migration],
    back_up: Callable[[int], object],
) -> None:
    """Bring a database to the last migration; `back_up(version)` comes first, where there is content.

    Raises:
        MigrationFailed: the database is as the migration before the failed one left it.
    """
    version = version_of(connection)
    pending = migrations[version:]
    if pending and version:
        back_up(version)
    # A migration that makes a table anew must not trigger what its rows are referred by; checked at its end.
    connection.execute("PRAGMA foreign_keys = OFF")
    for migration in pending:
        try:
            _apply(connection, queries, migration)
        except sqlite3.Error as exc:
            raise MigrationFailed(FAILED.format(migration.number, migration.name, exc)) from exc
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    connection.execute("PRAGMA foreign_keys = ON")


def _apply(connection: sqlite3.Connection, queries: Queries, migration: Migration) -> None:
    connection.executescript(f"BEGIN IMMEDIATE;\n{migration.sql}")
    if not connection.in_transaction:
        raise sqlite3.OperationalError("it ended the transaction that it was run in")
    broken = connection.execute(queries["store.broken_references"]).fetchone()
    if broken is not None:
        raise sqlite3.IntegrityError(f"a row of {broken[0]} refers to one of {broken[2]} that does not exist")
    connection.execute(f"PRAGMA user_version = {migration.number:d}")
    connection.execute("COMMIT")
