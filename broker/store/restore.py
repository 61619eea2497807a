"""Putting a backup in the place of a home's database, with no broker on it; what was there is moved aside.

The copy is made and checked first, under a name (`broker.db.restoring`) that keeps a broker from starting: whatever
interrupts this, no broker takes half of it, or an empty file, for the fleet.
"""

import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from broker.store.backup import copy, read_only_uri
from broker.store.checks import MAGIC, RESTORING, check_backup
from broker.store.filesystem import sync_names
from broker.store.lock import HomeLock
from broker.store.migrate import Migration, product_migrations
from broker.store.refusals import Damaged, NotOurs, refusal
from broker.store.sql import Queries
from wire.clock import Clock
from wire.errors import Invalid, Unavailable
from wire.private_files import make_private_folder

PARTS: Final = ("-wal", "-journal", "")
"""What belongs to a database beside its own file, which goes last: without it, nothing else is read."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done."""

    source: Path
    database: Path
    aside: Path | None
    """Where the database lies that was there before; None where there was none."""


def restore(
    path: Path,
    source: Path,
    clock: Clock,
    *,
    queries: Queries | None = None,
    migrations: Sequence[Migration] | None = None,
) -> Restored:
    """Put a checked copy of `source` in the place of the database at path. Durable once this returns.

    All is as it was then, but that nobody works for an agent: see `_vacate`.
    Blocks for as long as the copying takes. Run again, it also ends one that was interrupted.

    Raises:
        SecondBroker: a broker runs on this home.
        Invalid, NotOurs, NewerSchema, Damaged, Full, Unavailable: nothing was changed; each says what to do.
    """
    queries = Queries.from_package() if queries is None else queries
    newest = len(product_migrations() if migrations is None else migrations)
    lock = HomeLock.take(path.with_name(f"{path.name}.lock"))
    try:
        _require_file(source, path)
        incoming = path.with_name(f"{path.name}{RESTORING}")
        fresh = path.with_name(f".{incoming.name}.{secrets.token_hex(4)}")
        try:
            _copy(source, fresh, queries, newest)
            fresh.replace(incoming)  # of an earlier one that was interrupted: there is no moment without it
        finally:
            fresh.unlink(missing_ok=True)
        sync_names(path.parent)
        aside = _exchange(path, incoming, clock)
    except OSError as exc:
        raise Unavailable(f"{exc.filename}: {exc.strerror}; check the home's disk, its modes, and {source}") from exc
    finally:
        lock.release()
    return Restored(source, path, aside)


def _require_file(source: Path, path: Path) -> None:
    if not source.is_file():
        raise Invalid(f"there is no file {source}; `ls {path.parent / 'backups'}` shows the backups of this home")
    if path.exists() and source.samefile(path):
        raise Invalid(f"{source} is the database itself; name a backup of it")
    with source.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise NotOurs(f"{source} is no database; nothing was changed. Name another backup")


def _copy(source: Path, target: Path, queries: Queries, newest: int) -> None:
    try:
        with closing(_open(source)) as connection:
            check_backup(connection, source, queries, newest=newest)
            copy(connection, target, queries)
        _vacate(target, queries)
    except sqlite3.DatabaseError as exc:
        answer = refusal(exc)
        if isinstance(answer, Damaged | NotOurs):
            raise Damaged(f"{source} is damaged ({exc}); nothing was changed. Name another backup") from exc
        raise answer from exc


def _vacate(path: Path, queries: Queries) -> None:
    """End what was open for those who worked for an agent when the backup was made.

    They are gone, and nobody needs to wait for them. Should one live on all the same, it is fenced by a new epoch: what
    it knows as `t7` may be another turn now.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(queries["store.vacate_all"])


def _open(source: Path) -> sqlite3.Connection:
    """Open a backup to read; one that has nothing unfinished beside it also from a disk that cannot be written."""
    unfinished = any(source.with_name(f"{source.name}{part}").exists() for part in PARTS[:-1])
    uri = read_only_uri(source) if unfinished else f"{read_only_uri(source)}&immutable=1"
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def _withdraw(incoming: Path, path: Path) -> None:
    """Let a broker start again, if there is something for it to start with."""
    if path.exists():
        incoming.unlink(missing_ok=True)


def _exchange(path: Path, incoming: Path, clock: Clock) -> Path | None:
    """Move what is there aside and the copy into its place; should a move fail, what was moved goes back."""
    folder = path.parent / "backups"
    make_private_folder(folder)
    instant = datetime.fromtimestamp(clock.wall_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = folder / f"queenpost-before-restore-{instant}.db"
    moved: list[Path] = []
    with ExitStack() as undo:
        undo.callback(_withdraw, incoming, path)
        for part in PARTS:
            there, kept = path.with_name(f"{path.name}{part}"), aside.with_name(f"{aside.name}{part}")
            if there.exists():
                there.rename(kept)
                undo.callback(kept.rename, there)
                moved.append(kept)
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)  # made anew from the -wal by whoever opens it
        sync_names(folder)
        incoming.rename(path)
        undo.pop_all()
    sync_names(path.parent)
    return aside if moved else None
