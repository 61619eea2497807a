"""Migrations: forward only, one transaction each, a backup before, and a failure that changes nothing."""

import sqlite3
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from broker.store.database import Database, open_database
from broker.store.group import Group
from broker.store.migrate import Migration, product_migrations, version_of
from broker.store.refusals import MigrationFailed
from tests.broker.store.letters import FIRST, job, letter_queries, send
from wire.clock import FakeClock

SECOND = Migration(2, "colour", "ALTER TABLE letters ADD COLUMN colour TEXT NOT NULL DEFAULT 'white';")
ANEW = Migration(
    2,
    "anew",
    """
    INSERT INTO marks (letter) SELECT id FROM letters;
    CREATE TABLE new (id INTEGER PRIMARY KEY, recipient TEXT, body TEXT) STRICT;
    INSERT INTO new SELECT id, recipient, body FROM letters;
    DROP TABLE letters;
    ALTER TABLE new RENAME TO letters;
    """,
)


def open_with(path: Path, *migrations: Migration) -> Database:
    """Open a home as a release with these migrations would."""
    return open_database(path, FakeClock(), queries=letter_queries(), migrations=migrations)


@pytest.fixture
def old(path: Path) -> Path:
    """A home of an earlier release, with a letter in it."""
    with open_with(path, FIRST) as database:
        Group(database, FakeClock(), lambda tx: None).commit([job(send("anna", "old"))])
    return path


def bodies(connection: sqlite3.Connection) -> Sequence[str]:
    """Every letter."""
    return [row[2] for row in connection.execute(letter_queries()["letters.all"])]


def backups(path: Path) -> list[Path]:
    """The backups of a home."""
    return sorted((path.parent / "backups").glob("*")) if (path.parent / "backups").exists() else []


def test_a_new_home_gets_every_migration_and_no_backup(path: Path) -> None:
    """Style 24: run on open, recorded in user_version."""
    with open_with(path, FIRST, SECOND) as database:
        assert version_of(database.connection) == 2
    assert backups(path) == []


def test_an_old_home_is_migrated_and_backed_up_before(old: Path) -> None:
    """DESIGN 6: the backup is private, whole, and what it says in its name."""
    with open_with(old, FIRST, SECOND) as database:
        assert version_of(database.connection) == 2
        assert bodies(database.connection) == ["old"]
    (backup,) = backups(old)
    assert backup.name == "broker-schema1-20270115T080000.000000Z.db"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.parent.stat().st_mode) == 0o700
    copy = sqlite3.connect(backup)
    assert version_of(copy) == 1
    assert bodies(copy) == ["old"]
    copy.close()


def test_a_home_that_is_up_to_date_is_left_alone(old: Path) -> None:
    """Ours: no backup at every start."""
    with open_with(old, FIRST):
        pass
    assert backups(old) == []


def test_a_failed_migration_leaves_the_database_as_it_was(old: Path) -> None:
    """DESIGN 6: its statements are one transaction; the release before opens the home again."""
    before = old.read_bytes()
    broken = Migration(2, "broken", "ALTER TABLE letters ADD COLUMN half TEXT; INSERT INTO nowhere VALUES (1);")
    with pytest.raises(MigrationFailed, match=r"migration 0002 \(broken\) failed: no such table: nowhere"):
        open_with(old, FIRST, broken)
    assert old.read_bytes() == before
    assert len(backups(old)) == 1
    with open_with(old, FIRST) as database:
        assert bodies(database.connection) == ["old"]


def test_a_failed_migration_keeps_those_before_it(path: Path) -> None:
    """Style 24: one transaction each."""
    with pytest.raises(MigrationFailed):
        open_with(path, FIRST, Migration(2, "broken", "SELECT nothing;"))
    with open_with(path, FIRST) as database:
        assert version_of(database.connection) == 1


def test_a_migration_may_make_a_table_anew_that_others_refer_to(old: Path) -> None:
    """Ours: foreign keys are off while it runs, checked at its end, and on again after it."""
    with open_with(old, FIRST, ANEW) as database:
        assert bodies(database.connection) == ["old"]
        assert database.connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_migration_that_breaks_references_fails(old: Path) -> None:
    """Ours: it would otherwise be found by the first delete."""
    orphan = Migration(2, "orphan", "INSERT INTO marks (letter) VALUES (99);")
    with pytest.raises(MigrationFailed, match="a row of marks refers to one of letters that does not exist"):
        open_with(old, FIRST, orphan)


def test_a_migration_that_ends_its_transaction_fails(old: Path) -> None:
    """Ours: what follows would be stored whatever becomes of the rest."""
    with pytest.raises(MigrationFailed, match="ended the transaction"):
        open_with(old, FIRST, Migration(2, "commits", "CREATE TABLE a (b TEXT) STRICT; COMMIT;"))


def test_the_products_migrations_are_numbered_without_a_gap() -> None:
    """Style 24; a gap or a double number is refused when they are read."""
    migrations = product_migrations()
    assert [migration.number for migration in migrations] == list(range(1, len(migrations) + 1))


def test_events_that_were_recorded_before_they_were_counted_count(path: Path) -> None:
    """Migration 0008: a home with jobs in it keeps their figures."""
    with open_database(path, FakeClock(), migrations=product_migrations()[:7]) as database:
        for name in ("busy", "silent"):
            database.connection.execute(
                """INSERT INTO jobs (id, topic, prompt, prompt_sha256, made_by, timeout_ms, registered_at)
                VALUES (?, 't', 'p', zeroblob(32), 'operator', 1, 1)""",
                (name,),
            )
        for seq in (1, 2):
            database.connection.execute(
                """INSERT INTO job_events (job, epoch, seq, event, verdict, sha256, said_at, detail, data, received_at)
                VALUES ('busy', 1, ?, 'progress', 'accepted', zeroblob(32), '', '', '{}', 1)""",
                (seq,),
            )
    with open_database(path, FakeClock()) as database:
        rows = database.connection.execute("SELECT id, events FROM jobs ORDER BY id").fetchall()
    assert [tuple(row) for row in rows] == [("busy", 2), ("silent", 0)]
