"""Copies of a running database: whole, private, or not there."""

import errno
import sqlite3
import stat
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock

import pytest

from broker.store import backup
from broker.store.backup import Stopped, back_up
from broker.store.database import Database
from broker.store.group import Group
from broker.store.refusals import Damaged
from tests.broker.store.letters import job, letter_queries, send
from wire.errors import Conflict, Full, QueenpostError, Unavailable


def bodies(path: Path) -> Sequence[str]:
    """Every letter in a closed file."""
    connection = sqlite3.connect(path)
    try:
        return [row[2] for row in connection.execute(letter_queries()["letters.all"])]
    finally:
        connection.close()


def test_a_backup_of_a_running_database_is_one_private_file(group: Group, database: Database, tmp_path: Path) -> None:
    """DESIGN 6: online; it needs no -wal beside it."""
    group.commit([job(send("anna", "one"))])
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    back_up(database.path, target, letter_queries())
    group.commit([job(send("anna", "two"))])
    assert bodies(target) == ["one"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [file.name for file in target.parent.iterdir()] == ["copy.db"]


def test_a_backup_is_taken_while_a_transaction_is_open(group: Group, database: Database, tmp_path: Path) -> None:
    """Ours: its own read-only connection sees the last commit and waits for nobody."""
    group.commit([job(send("anna", "one"))])
    database.connection.execute("BEGIN IMMEDIATE")
    database.connection.execute(database.queries["letters.add"], {"recipient": "anna", "body": "uncommitted"})
    back_up(database.path, tmp_path / "copy.db", letter_queries())
    database.connection.execute("ROLLBACK")
    assert bodies(tmp_path / "copy.db") == ["one"]


def test_an_existing_file_is_not_overwritten(database: Database, tmp_path: Path) -> None:
    """Ours: yesterday's backup may be the good one."""
    target = tmp_path / "copy.db"
    target.write_text("yesterday's")
    with pytest.raises(Conflict, match="name another file"):
        back_up(database.path, target, letter_queries())
    assert target.read_text() == "yesterday's"


def test_a_folder_that_is_missing_is_told(database: Database, tmp_path: Path) -> None:
    """Style 12."""
    with pytest.raises(Unavailable, match="name a folder that you can write to"):
        back_up(database.path, tmp_path / "missing" / "copy.db", letter_queries())


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Ours: half a backup is worse than none."""
    source = tmp_path / "broker.db"
    source.write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    with pytest.raises(QueenpostError):
        back_up(source, tmp_path / "copy.db", letter_queries())
    assert [file.name for file in tmp_path.iterdir()] == ["broker.db"]


def test_a_copy_in_many_steps_is_of_one_moment(
    group: Group, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 6: what is committed between two steps is not in it, and does not make it begin anew."""
    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 1)
    group.commit([job(send("anna", "before"))])
    steps = 0

    def meanwhile() -> bool:
        nonlocal steps
        steps += 1
        group.commit([job(send("anna", "x" * 20_000))])
        return False

    back_up(database.path, tmp_path / "copy.db", letter_queries(), meanwhile)
    assert steps > 2
    assert bodies(tmp_path / "copy.db") == ["before"]


@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_copy_that_is_stopped_leaves_nothing(
    group: Group, database: Database, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: the broker ends; a large copy must not keep it."""
    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 1)
    group.commit([job(send("anna", "x" * 20_000))])
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    asked = iter(range(1, 1000))
    with pytest.raises(Stopped):
        back_up(database.path, target, letter_queries(), lambda: next(asked) >= step)
    assert list(target.parent.iterdir()) == []


def test_a_copy_whose_check_is_stopped_leaves_nothing(
    group: Group, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: a check of a large file takes long too, and is interrupted."""
    monkeypatch.setattr(backup, "LOOK_EVERY_STEPS", 1)
    group.commit([job(send("anna", "one"))])
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    asked = iter(range(1, 1000))
    with pytest.raises(Stopped):
        back_up(database.path, target, letter_queries(), lambda: next(asked) > 3)
    assert list(target.parent.iterdir()) == []


def test_a_copy_in_which_something_is_missing_is_refused(database: Database, tmp_path: Path) -> None:
    """Ours: quick_check does not look at what rows refer to."""
    database.connection.execute("PRAGMA foreign_keys = OFF")
    database.connection.execute(database.queries["letters.refer"], {"letter": 99})
    with pytest.raises(Damaged, match="a row of marks refers to one of letters"):
        back_up(database.path, tmp_path / "copy.db", letter_queries())
    assert not (tmp_path / "copy.db").exists()


def test_a_full_disk_is_told(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: as such, whether SQLite meets it or we do."""
    by_sqlite = sqlite3.OperationalError("database or disk is full")
    by_sqlite.sqlite_errorcode = sqlite3.SQLITE_FULL
    for error in (OSError(errno.ENOSPC, "No space left on device"), by_sqlite):
        monkeypatch.setattr(backup, "_sync_file", Mock(side_effect=error))
        with pytest.raises(Full, match="no space for"):
            back_up(database.path, tmp_path / "copy.db", letter_queries())
    assert not list(tmp_path.glob("*copy*"))
