"""Copies of a running database: whole, private, or not there."""

import sqlite3
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from broker.store.backup import back_up
from broker.store.database import Database
from broker.store.group import Group
from tests.broker.store.letters import job, letter_queries, send
from wire.errors import Conflict, QueenpostError, Unavailable


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
