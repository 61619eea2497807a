"""Files and folders for their owner only, and what is refused."""

import errno
import os
from pathlib import Path

import pytest

from wire.errors import Denied, Invalid
from wire.private_files import (
    MAX_SECRET_BYTES,
    check_private,
    draft_secret,
    make_private_folder,
    publish_secret,
    read_descriptor,
    read_secret,
    write_secret,
)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Where a test keeps its secret."""
    return tmp_path / "operator"


def mode(path: Path) -> int:
    """Give the permission bits."""
    return path.stat().st_mode & 0o777


def test_a_secret_is_read_as_it_was_written(secret: Path) -> None:
    """DESIGN 4: mode 0600, whatever the umask; nothing is left beside it."""
    before = os.umask(0)
    try:
        write_secret(secret, "s3cret")
    finally:
        os.umask(before)
    assert read_secret(secret) == "s3cret"
    assert mode(secret) == 0o600
    assert list(secret.parent.iterdir()) == [secret]


def test_a_secret_is_replaced_whole(secret: Path) -> None:
    """DESIGN 4: temp, fsync, rename; a file that others could read does not stay one."""
    secret.write_text("old")
    secret.chmod(0o644)
    write_secret(secret, "new")
    assert read_secret(secret) == "new"
    assert mode(secret) == 0o600


def test_a_failed_write_leaves_the_old_secret(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 4: a full disk does not cost the token that is there."""
    write_secret(secret, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_secret(secret, "new")
    assert read_secret(secret) == "old"
    assert list(secret.parent.iterdir()) == [secret]


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_secret_that_others_may_read_is_refused(secret: Path, bits: int) -> None:
    """DESIGN 4: the message names the command that mends it."""
    write_secret(secret, "s3cret")
    secret.chmod(bits)
    with pytest.raises(Denied, match="chmod 600"):
        read_secret(secret)


def test_a_missing_secret_is_named(secret: Path) -> None:
    """Ours: which file, and why not."""
    with pytest.raises(Denied, match="operator: No such file"):
        read_secret(secret)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"\n", "empty"), (b"\xff\xfe", "not text"), (b"x" * (MAX_SECRET_BYTES + 1), "over")],
)
def test_what_is_no_secret_is_refused(secret: Path, content: bytes, words: str) -> None:
    """Ours: the wrong file was named."""
    secret.write_bytes(content)
    secret.chmod(0o600)
    with pytest.raises(Invalid, match=words):
        read_secret(secret)


def test_a_fifo_does_not_hang_the_reader(secret: Path) -> None:
    """Ours: it would wait for a writer for ever."""
    os.mkfifo(secret, 0o600)
    with pytest.raises(Invalid, match="no regular file"):
        read_secret(secret)


def test_a_folder_is_made_for_its_owner(tmp_path: Path) -> None:
    """DESIGN 4: mode 0700; making it again is fine."""
    folder = tmp_path / "a" / "b"
    make_private_folder(folder)
    make_private_folder(folder)
    assert mode(folder) == 0o700


@pytest.mark.parametrize("bits", [0o770, 0o702, 0o777])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, bits: int) -> None:
    """Ours: whoever writes there could put a socket or a token of theirs."""
    tmp_path.chmod(bits)
    with pytest.raises(Denied, match="chmod go-w"):
        check_private(tmp_path)


def test_a_folder_that_others_may_read_is_fine(tmp_path: Path) -> None:
    """Ours: secrets have modes of their own."""
    tmp_path.chmod(0o755)
    check_private(tmp_path)


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: also for root, who could use it; the message says what to do."""
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(Denied, match="work as its owner"):
        check_private(tmp_path)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    """Ours: an error of ours, with the path."""
    (tmp_path / "home").write_text("")
    with pytest.raises(Invalid, match="home"):
        make_private_folder(tmp_path / "home")
    with pytest.raises(Invalid, match="no folder"):
        check_private(tmp_path / "home")


def test_a_draft_changes_nothing_until_it_is_published(secret: Path) -> None:
    """DESIGN 4 Tokens: the old secret stays whole beside it; then the new one is there, for its owner only."""
    write_secret(secret, "old")
    draft = draft_secret(secret, "new")
    assert draft.parent == secret.parent
    assert draft.stat().st_mode & 0o777 == 0o600
    assert read_secret(secret) == "old"
    publish_secret(draft, secret)
    assert read_secret(secret) == "new"
    assert [path.name for path in secret.parent.iterdir()] == [secret.name]


def test_a_draft_that_cannot_be_published_is_gone(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 4 Tokens: no copy of a secret is left lying about."""
    write_secret(secret, "old")
    draft = draft_secret(secret, "new")

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "the disk says no")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="the disk says no"):
        publish_secret(draft, secret)
    assert read_secret(secret) == "old"
    assert not draft.exists()


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty"), (b"\xff\xfe", "not text"), (b"x" * (MAX_SECRET_BYTES + 1), "over")]
)
def test_a_descriptor_without_a_secret_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """Bad input and misuse: named by its number."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with path.open("rb") as file, pytest.raises(Invalid, match=f"descriptor {file.fileno()} .*{words}"):
        read_descriptor(file.fileno())


def test_a_descriptor_that_is_not_open_is_refused() -> None:
    """Bad input and misuse."""
    with pytest.raises(Invalid, match="cannot read the secret from descriptor 9999"):
        read_descriptor(9999)
