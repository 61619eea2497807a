"""Opening a home: what is set, what is refused and left as it was, and what survives."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from broker.store import database as module
from broker.store.database import Database, memory_database, open_database
from broker.store.filesystem import Mount
from broker.store.group import Group
from broker.store.migrate import Migration
from broker.store.refusals import Damaged, LocksBroken, NewerSchema, NotOurs, NotWritable, SecondBroker
from tests.broker.store.letters import FIRST, fields_of, job, letter_queries, send
from tests.broker.store.unprivileged import without_privileges
from wire.clock import FakeClock


def open_letters(path: Path, mounts: Sequence[Mount] = (), migrations: Sequence[Migration] = (FIRST,)) -> Database:
    """Open a home with the letters' schema."""
    return open_database(path, FakeClock(), queries=letter_queries(), migrations=migrations, mounts=lambda: mounts)


def pragma(database: Database, name: str) -> object:
    """Read one setting of the writing connection."""
    return database.connection.execute(f"PRAGMA {name}").fetchone()[0]


def fill(path: Path, letters: int = 400) -> None:
    """Make a database of many pages, closed again."""
    with open_letters(path) as database:
        group = Group(database, FakeClock(), lambda tx: None)
        group.commit([job(send("anna", f"letter {number} " + "x" * 500)) for number in range(letters)])


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


def test_what_was_committed_is_there_after_kill_9(path: Path) -> None:
    """DESIGN 5.1: a send commits before it replies. The lock ends with its process."""
    program = (
        "import sys, time; from pathlib import Path; from tests.broker.store.test_database import *\n"
        "database = open_letters(Path(sys.argv[1]))\n"
        "Group(database, FakeClock(), lambda tx: None).commit([job(send('anna', 'kept'))])\n"
        "print('committed', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", program, path], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"committed\n"
        with pytest.raises(SecondBroker, match=f"pid {child.pid}"):
            open_letters(path)
        child.send_signal(signal.SIGKILL)
    with open_letters(path) as database:
        assert [row["body"] for row in database.connection.execute(database.queries["letters.all"])] == ["kept"]


def test_a_second_broker_on_one_home_is_refused(database: Database, path: Path) -> None:
    """DESIGN 6: it is told which process to look at."""
    with pytest.raises(SecondBroker, match=rf"another broker \(pid {os.getpid()}\) runs on this home"):
        open_letters(path)
    database.close()
    open_letters(path).close()


def test_a_refused_opening_leaves_no_lock_behind(path: Path) -> None:
    """Ours: otherwise the repaired home would need a restart of whatever tried it."""
    path.write_bytes(b"not a database at all")
    for _ in range(2):
        with pytest.raises(NotOurs):
            open_letters(path)


def test_no_such_folder_is_refused(tmp_path: Path) -> None:
    """Ours: says how a home is made."""
    (tmp_path / "file").write_text("")
    for missing in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(NotWritable, match="queenpost init"):
            open_letters(missing / "broker.db")


def test_a_read_only_folder_is_refused(path: Path) -> None:
    """Ours: before anything was written."""
    fill(path)
    path.with_name("broker.db.lock").unlink()
    path.parent.chmod(0o500)
    try:
        with pytest.raises(NotWritable, match="check that the folder exists, is yours"):
            without_privileges(lambda: open_letters(path))
    finally:
        path.parent.chmod(0o700)
    assert sorted(file.name for file in path.parent.iterdir()) == ["broker.db"]


def test_a_read_only_database_is_refused(path: Path) -> None:
    """Ours: SQLite itself would open it without a word, and refuse the first send."""
    fill(path)
    before = path.read_bytes()
    path.chmod(0o400)
    with pytest.raises(NotWritable, match=r"cannot write .*broker\.db"):
        without_privileges(lambda: open_letters(path))
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """Ours: the file stays as it is."""
    path.write_bytes(b"some notes of mine")
    with pytest.raises(NotOurs, match="is no database; move it away"):
        open_letters(path)
    assert path.read_bytes() == b"some notes of mine"


def test_another_programs_database_is_refused(path: Path) -> None:
    """Ours: its tables must not get neighbours by a mistyped path."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(NotOurs, match="another program's database"):
        open_letters(path)
    assert path.read_bytes() == before


def test_a_newer_database_is_refused(path: Path) -> None:
    """Ours: an old release must not write into a schema that it does not know."""
    with open_letters(path, migrations=[FIRST, Migration(2, "more", "CREATE TABLE more (a TEXT) STRICT;")]):
        pass
    before = path.read_bytes()
    with pytest.raises(NewerSchema, match=r"schema 2, this one knows 1.*upgrade queenpost"):
        open_letters(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("page", [2, 20, 40])
def test_a_damaged_database_is_refused(path: Path, page: int) -> None:
    """DESIGN 6: quick_check at start. It stays as it is, for whoever repairs it."""
    fill(path)
    damaged = bytearray(path.read_bytes())
    start = (page - 1) * 4096
    damaged[start : start + 64] = bytes(byte ^ 0xFF for byte in damaged[start : start + 64])
    path.write_bytes(damaged)
    with pytest.raises(Damaged, match="newest of backups/"):
        open_letters(path)
    assert path.read_bytes() == bytes(damaged)


def test_a_truncated_database_is_refused(path: Path) -> None:
    """DESIGN 6."""
    fill(path)
    cut = path.read_bytes()[: 10 * 4096]
    path.write_bytes(cut)
    with pytest.raises(Damaged):
        open_letters(path)


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
