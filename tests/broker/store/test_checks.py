"""What is no database that we may open: each is refused with what to do, and left as it was."""

import sqlite3
from pathlib import Path

import pytest

from broker.store.migrate import Migration
from broker.store.refusals import Damaged, NewerSchema, NotOurs, NotWritable
from tests.broker.store.letters import FIRST, fill, open_letters
from tests.broker.store.unprivileged import without_privileges


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
    with pytest.raises(NotOurs, match="is no database: `queenpost restore FILE`"):
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
