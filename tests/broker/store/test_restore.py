"""Putting a backup in place: checked first, what was there is kept, and no moment at which a broker could go wrong."""

import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest

from broker.store import restore as module
from broker.store.backup import back_up
from broker.store.database import Database, memory_database, open_database
from broker.store.lock import HomeLock
from broker.store.migrate import product_migrations
from broker.store.refusals import Damaged, HalfRestored, NewerSchema, NotOurs, SecondBroker
from broker.store.restore import Restored, restore
from wire.clock import FakeClock
from wire.errors import Invalid, Unavailable


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of a fleet with one agent, in which something was changed since."""
    folder = tmp_path / "copies"
    folder.mkdir()
    with opened(tmp_path) as database:
        name(database, "then")
        back_up(database.path, folder / "copy.db", database.queries)
        name(database, "now")
    return folder / "copy.db"


def opened(folder: Path) -> Database:
    """Open the home as a broker does."""
    return open_database(folder / "broker.db", FakeClock())


def name(database: Database, agent: str) -> None:
    """Write something down."""
    database.connection.execute(
        "INSERT INTO agents (name, role, origin, created_at) VALUES (?, 'agent', 'file', 0)", (agent,)
    )


def names(path: Path) -> Sequence[str]:
    """Read what was written down."""
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM agents ORDER BY rowid")]


def done(folder: Path, source: Path) -> Restored:
    """Restore."""
    return restore(folder / "broker.db", source, FakeClock())


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file that stays as it is while nothing happens."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.endswith((".lock", "-shm"))]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_the_database_is_as_it_was_then(tmp_path: Path, backup: Path) -> None:
    """[P09] DESIGN 6: durable, private; the backup stays, and what was there lies aside."""
    told = done(tmp_path, backup)
    assert names(tmp_path / "broker.db") == ["then"]
    assert stat.S_IMODE((tmp_path / "broker.db").stat().st_mode) == 0o600
    assert backup.exists()
    assert told.aside is not None
    assert told.aside.parent == tmp_path / "backups"
    assert names(told.aside) == ["then", "now"]
    assert not list(tmp_path.glob("*.restoring"))
    with opened(tmp_path) as database:
        assert [row["name"] for row in database.connection.execute("SELECT name FROM agents")] == ["then"]


def test_nobody_works_for_an_agent_of_a_backup(tmp_path: Path, backup: Path) -> None:
    """DESIGN 5.7: who did is gone, and is not waited for; the backup itself stays as it was."""
    with closing(sqlite3.connect(backup)) as connection, connection:
        connection.execute("UPDATE agents SET instance = 'of then', epoch = 3, lost_at = 5")
    before = backup.read_bytes()
    done(tmp_path, backup)
    with closing(sqlite3.connect(tmp_path / "broker.db")) as connection:
        assert connection.execute("SELECT instance, epoch, lost_at FROM agents").fetchall() == [(None, 3, None)]
    assert backup.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if "restoring" in file.name] == []


def test_there_is_a_way_back(tmp_path: Path, backup: Path) -> None:
    """Ours: what was moved aside is a backup like any other, with what had not reached its file yet."""
    first = opened(tmp_path)
    name(first, "in the log")
    # As after a kill -9: the write-ahead log is left, with a commit in it.
    for part in ("", "-wal"):
        (tmp_path / f"kept{part}").write_bytes((tmp_path / f"broker.db{part}").read_bytes())
    first.close()
    for part in ("", "-wal"):
        (tmp_path / f"kept{part}").rename(tmp_path / f"broker.db{part}")
    aside = done(tmp_path, backup).aside
    assert aside is not None
    assert not (tmp_path / "broker.db-wal").exists()
    assert names(tmp_path / "broker.db") == ["then"]
    clock = FakeClock()
    clock.advance(1000)
    restore(tmp_path / "broker.db", aside, clock)
    assert names(tmp_path / "broker.db") == ["then", "now", "in the log"]


def test_a_home_without_a_database_gets_one(tmp_path: Path, backup: Path) -> None:
    """Ours: on another machine."""
    other = tmp_path / "other"
    other.mkdir()
    assert done(other, backup).aside is None
    assert names(other / "broker.db") == ["then"]


def test_a_damaged_database_is_mended(tmp_path: Path, backup: Path) -> None:
    """[P09] DESIGN 6: quick_check names the command, the command mends it, the damaged file is kept."""
    path = tmp_path / "broker.db"
    broken = bytearray(path.read_bytes())
    broken[5000:9000] = b"\xff" * 4000
    path.write_bytes(broken)
    with pytest.raises(Damaged, match="`queenpost restore FILE` with the newest of backups/"):
        opened(tmp_path)
    aside = done(tmp_path, backup).aside
    assert aside is not None
    assert aside.read_bytes() == bytes(broken)
    with opened(tmp_path):
        pass


def test_a_backup_on_a_disk_that_cannot_be_written_is_read(tmp_path: Path, backup: Path) -> None:
    """Ours: no file appears beside it."""
    before = contents(backup.parent)
    done(tmp_path, backup)
    assert contents(backup.parent) == before
    assert [file.name for file in backup.parent.iterdir()] == ["copy.db"]


def test_while_a_broker_runs_nothing_happens(tmp_path: Path, backup: Path) -> None:
    """Misuse: the broker's own lock; exit 3."""
    before = contents(tmp_path)
    lock = HomeLock.take(tmp_path / "broker.db.lock")
    try:
        with pytest.raises(SecondBroker, match="another broker"):
            done(tmp_path, backup)
    finally:
        lock.release()
    assert contents(tmp_path) == before


def test_what_is_no_backup_of_ours_changes_nothing(tmp_path: Path, backup: Path) -> None:
    """Bad input: missing, a folder, a text, another program's, a newer release's, the database itself."""
    text, other, newer, empty = (tmp_path / word for word in ("text", "other.db", "newer.db", "empty.db"))
    text.write_text("notes of mine")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
        connection.execute("PRAGMA user_version = 1")
    newer.write_bytes(backup.read_bytes())
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 99")
    empty.touch()
    before = contents(tmp_path)
    for source, error, words in (
        (tmp_path / "missing", Invalid, "there is no file"),
        (tmp_path, Invalid, "there is no file"),
        (text, NotOurs, "is no database"),
        (empty, NotOurs, "is no database"),
        (other, NotOurs, "no database of Queenpost"),
        (newer, NewerSchema, "upgrade queenpost"),
        (tmp_path / "broker.db", Invalid, "the database itself"),
    ):
        with pytest.raises(error, match=words):
            done(tmp_path, source)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("page", [1, 2, 20])
def test_a_damaged_backup_changes_nothing(tmp_path: Path, backup: Path, page: int) -> None:
    """[P09] Bad input: it is checked before anything is moved."""
    broken = bytearray(backup.read_bytes())
    start = (page - 1) * 4096 or 100  # behind the file's own header
    broken[start : start + 3000] = b"\xff" * 3000
    backup.write_bytes(broken)
    before = contents(tmp_path)
    with pytest.raises(Damaged, match="nothing was changed"):
        done(tmp_path, backup)
    assert contents(tmp_path) == before


def test_a_truncated_backup_changes_nothing(tmp_path: Path, backup: Path) -> None:
    """Bad input."""
    backup.write_bytes(backup.read_bytes()[: 10 * 4096])
    before = contents(tmp_path)
    with pytest.raises(Damaged):
        done(tmp_path, backup)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("moves", [1, 2, 3])
def test_a_move_that_fails_is_undone(tmp_path: Path, backup: Path, moves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a disk that fails in the middle; a broker can start on what was there."""
    (tmp_path / "broker.db-wal").write_bytes(b"")
    before = contents(tmp_path)
    real, seen = Path.rename, [0]

    def failing(path: Path, target: Path) -> Path:
        seen[0] += 1
        if seen[0] == moves:
            raise OSError(5, "Input/output error", str(path))
        return real(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(Unavailable, match="Input/output error"):
        done(tmp_path, backup)
    monkeypatch.undo()
    assert contents(tmp_path) == before
    with opened(tmp_path):
        pass
    assert names(tmp_path / "broker.db") == ["then", "now"]


@pytest.mark.parametrize("moves", [1, 2, 3])
def test_a_restore_that_was_killed_keeps_every_broker_out(
    tmp_path: Path, backup: Path, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[P09] Ours: at each move; no broker takes half of it for the fleet. Run again, it comes to its end."""

    class Killed(BaseException):
        """As by kill -9: nothing is undone."""

    (tmp_path / "broker.db-wal").write_bytes(b"")
    real, seen = Path.rename, [0]

    def dying(path: Path, target: Path) -> Path:
        seen[0] += 1
        if seen[0] >= moves:
            raise Killed
        return real(path, target)

    monkeypatch.setattr(Path, "rename", dying)
    monkeypatch.setattr(module.ExitStack, "__exit__", Mock(return_value=None))
    with pytest.raises(Killed):
        done(tmp_path, backup)
    monkeypatch.undo()
    with pytest.raises(HalfRestored, match="run `queenpost restore FILE` again"):
        opened(tmp_path)
    (tmp_path / "text").write_text("notes of mine")
    with pytest.raises(NotOurs):  # a wrong file now must not let a broker start on nothing
        done(tmp_path, tmp_path / "text")
    with pytest.raises(HalfRestored):
        opened(tmp_path)
    clock = FakeClock()
    clock.advance(1000)
    restore(tmp_path / "broker.db", backup, clock)
    assert names(tmp_path / "broker.db") == ["then"]
    kept = [names(file) for file in (tmp_path / "backups").glob("queenpost-before-restore-*.db")]
    assert kept == [["then", "now"]]
    with opened(tmp_path):
        pass


def test_an_older_backup_is_brought_up_to_date_at_the_next_start(tmp_path: Path, backup: Path) -> None:
    """DESIGN 6: as any older home is."""
    with memory_database() as database:
        newest = database.connection.execute("PRAGMA user_version").fetchone()[0]
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == newest
    old = tmp_path / "old"
    old.mkdir()
    with open_database(old / "broker.db", FakeClock(), migrations=product_migrations()[:1]) as database:
        name(database, "old")
    done(tmp_path, old / "broker.db")
    with opened(tmp_path) as database:
        assert database.connection.execute("PRAGMA user_version").fetchone()[0] == newest
    assert names(tmp_path / "broker.db") == ["old"]
