"""The file that says who is frozen: it fails safe, and no writer undoes what another one froze."""

import errno
import fcntl
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from wire import freeze_file
from wire.errors import Conflict, Full, Unavailable
from wire.freeze_file import NOBODY, Frozen, change_frozen, read_frozen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file of this test lies, or would."""
    return tmp_path / "frozen"


def freeze(path: Path, *names: str) -> Frozen:
    """Freeze and give what is then."""
    return change_frozen(path, lambda now: now.and_also(names))[1]


def thaw(path: Path, *names: str) -> Frozen:
    """Thaw and give what is then."""
    return change_frozen(path, lambda now: now.without(names))[1]


def test_without_a_file_nobody_is_frozen(path: Path) -> None:
    """Ours."""
    assert read_frozen(path) == NOBODY
    assert not NOBODY.holds("alice")


def test_some_are_frozen_and_thawed(path: Path) -> None:
    """DESIGN 5.18: each by name; the file is gone when nobody is left in it."""
    freeze(path, "bob", "alice")
    freeze(path, "alice", "carol")
    assert json.loads(path.read_text()) == {"everybody": False, "agents": ["alice", "bob", "carol"]}
    assert read_frozen(path).holds("bob")
    assert not read_frozen(path).holds("dora")
    assert thaw(path, "bob", "carol", "dora") == read_frozen(path) == Frozen(agents=frozenset({"alice"}))
    thaw(path, "alice")
    assert not path.exists()


def test_everybody_is_frozen_and_thawed(path: Path) -> None:
    """DESIGN 5.18: without names; agents that come later too."""
    freeze(path, "bob")
    freeze(path)
    assert read_frozen(path).holds("whoever comes later")
    assert thaw(path) == read_frozen(path) == NOBODY


def test_one_of_everybody_is_not_thawed(path: Path) -> None:
    """Ours: later agents would be frozen or not by accident; the file stays as it was."""
    freeze(path)
    with pytest.raises(Conflict, match="everybody is frozen, not just alice"):
        thaw(path, "alice")
    assert read_frozen(path).everybody


def test_only_its_owner_reads_it(path: Path) -> None:
    """Ours: the mode of all files of a home."""
    freeze(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not [file for file in path.parent.iterdir() if file.name.startswith(".frozen")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"everybody": false}',
        b'{"agents": []}',
        b'{"everybody": 0, "agents": []}',
        b'{"everybody": false, "agents": "alice"}',
        b'{"everybody": false, "agents": [1]}',
        b"[" * 100_000,
        b'{"everybody": false, "agents": ["' + b"a" * freeze_file.MAX_BYTES + b'"]}',
    ],
)
def test_what_cannot_be_read_freezes_everybody(path: Path, content: bytes) -> None:
    """Ours: it fails safe; an empty file is the one that can be made by hand, with `touch`."""
    path.write_bytes(content)
    frozen = read_frozen(path)
    assert frozen.everybody
    assert str(path) in (frozen.damage or "")


def test_what_is_no_file_freezes_everybody(path: Path, tmp_path: Path) -> None:
    """Ours: a folder, a pipe that nobody writes to, a file in the way of its folder."""
    path.mkdir()
    pipe, through = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    through.write_text("")
    assert all(read_frozen(one).everybody for one in (path, pipe, through / "frozen"))


def test_a_damaged_file_is_made_anew(path: Path) -> None:
    """Ours: freezing somebody keeps everybody frozen; thawing all heals it; thawing one says why it cannot."""
    path.write_text("{")
    with pytest.raises(Conflict, match="cannot be read"):
        thaw(path, "alice")
    assert freeze(path, "alice") == read_frozen(path) == Frozen(everybody=True, agents=frozenset({"alice"}))
    path.write_text("{")
    assert thaw(path) == read_frozen(path) == NOBODY


def test_what_is_so_already_is_not_written_again(path: Path) -> None:
    """Ours: a file that looks new is read again by everybody."""
    freeze(path, "alice")
    before = path.stat()
    freeze(path, "alice")
    assert path.stat().st_ino == before.st_ino


def test_a_full_disk_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: with the way to freeze all the same; the file is as it was."""
    freeze(path, "alice")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(freeze_file, "write_secret", full)
    with pytest.raises(Full, match="touch"):
        freeze(path)
    assert read_frozen(path) == Frozen(agents=frozenset({"alice"}))


def test_a_folder_that_is_missing_is_told(path: Path) -> None:
    """Style 12."""
    with pytest.raises(Unavailable, match="as the owner of the home"):
        freeze(path.parent / "missing" / "frozen")


def test_writers_at_once_lose_nothing(path: Path) -> None:
    """Ours: eight terminals, each with an agent of its own."""
    names = [f"agent-{number}" for number in range(8)]
    threads = [threading.Thread(target=freeze, args=(path, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_frozen(path).agents == frozenset(names)


def test_a_writer_that_hangs_keeps_nobody_from_freezing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: its lock is waited for, but not for ever."""
    monkeypatch.setattr(freeze_file, "LOCK_S", 0.05)
    with path.with_name("frozen.lock").open("w") as hanging:
        fcntl.flock(hanging, fcntl.LOCK_EX)
        freeze(path, "alice")
    assert read_frozen(path).holds("alice")
