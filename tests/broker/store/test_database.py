"""Opening a home: what is set, where the file lies, how big its WAL is, and what is left of it."""

import stat
from pathlib import Path

import pytest

from broker.store import database as module
from broker.store.database import Database, memory_database, open_database
from broker.store.filesystem import Mount
from broker.store.group import Group
from broker.store.refusals import LocksBroken
from tests.broker.store.letters import FIRST, fields_of, fill, job, letter_queries, open_letters, send
from wire.clock import FakeClock


def pragma(database: Database, name: str) -> object:
    """Read one setting of the writing connection."""
    return database.connection.execute(f"PRAGMA {name}").fetchone()[0]


def lock_nothing(*_: object) -> None:
    """Be the lock of a file system that has none and does not say so."""


def test_the_writing_connection_is_durable_and_strict(database: Database) -> None:
    """DESIGN 6: WAL, synchronous=FULL (2), foreign keys; reliability 4: no mmap, no trusted schema."""
    names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "mmap_size")
    assert [pragma(database, name) for name in names] == ["wal", 2, 1, 0, 0]
    assert database.connection.isolation_level is None


def test_a_new_home_is_private(database: Database, path: Path) -> None:
    """Ours: mail is nobody else's to read, whatever the umask; the -wal follows the database."""
    for file in (path, path.with_name("broker.db-wal"), path.with_name("broker.db.lock")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_network_file_system_falls_back_to_a_rollback_journal(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """DESIGN 6: with a warning; everything else works as on a local disk [X13]."""
    mounts = [Mount("/", "ext4", network=False), Mount(str(path.parent), "nfs4", network=True)]
    with open_letters(path, mounts) as database:
        assert pragma(database, "journal_mode") == "delete"
        assert pragma(database, "synchronous") == 2
        group = Group(database, FakeClock(), lambda tx: None)
        assert group.commit([job(send("anna", "one"))]).settled[0].outcome.get() == 1
        assert database.wal_bytes() == 0
    (record,) = [record for record in caplog.records if record.message == "wal_unusable"]
    assert fields_of(record)["filesystem"] == "nfs4"


def test_a_home_that_moves_to_a_network_and_back_changes_its_journal(path: Path) -> None:
    """Ours: the WAL is moved into the database first, so no mail is lost [X13]."""
    fill(path, letters=3)
    for mounts, journal in (([Mount("/", "cifs", network=True)], "delete"), ([], "wal")):
        with open_letters(path, mounts) as database:
            assert pragma(database, "journal_mode") == journal
            assert len(database.connection.execute(database.queries["letters.all"]).fetchall()) == 3


def test_a_network_file_system_without_locks_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 6: refused only if a two-process lock probe fails; nothing is made there [X13]."""
    monkeypatch.setattr("broker.store.filesystem.fcntl.lockf", lock_nothing)
    with pytest.raises(LocksBroken, match="choose a home on a local disk"):
        open_letters(path, [Mount("/", "nfs", network=True)])
    assert not path.exists()


def test_a_wal_that_grows_without_bound_is_told_of_once_a_minute(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """DESIGN 6: an alarm at 256 MiB of WAL; a smaller bound serves here."""
    monkeypatch.setattr(module, "WAL_ALARM_BYTES", 1000)
    group = Group(database, clock, lambda tx: None)
    for wait_ms in (0, 1000, 58_000, 1000):
        clock.advance(wait_ms)
        group.commit([job(send("anna", "one"))])
    assert [record.message for record in caplog.records] == ["wal_grew", "wal_grew"]
    assert database.wal_bytes() > 1000


def test_closing_moves_the_wal_into_the_database(path: Path) -> None:
    """Ours: a closed home is one file that can be copied."""
    fill(path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["broker.db", "broker.db.lock"]


def test_closing_twice_does_nothing_more(database: Database) -> None:
    """Ours."""
    database.close()
    database.close()


def test_a_database_in_memory_serves_simulations(clock: FakeClock) -> None:
    """Ours: the same SQLite and schema, without a disk."""
    with memory_database(letter_queries(), [FIRST]) as database:
        batch = Group(database, clock, lambda tx: None).commit([job(send("anna", "one"))])
        assert batch.settled[0].outcome.get() == 1
        assert database.wal_bytes() == 0


def test_the_products_own_schema_opens(path: Path, clock: FakeClock) -> None:
    """Ours: the migrations of the package, applied to a real file."""
    for _ in range(2):
        with open_database(path, clock) as database:
            assert pragma(database, "integrity_check") == "ok"
            assert pragma(database, "foreign_keys") == 1
