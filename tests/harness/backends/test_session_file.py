"""The session that a program goes on with."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.backends import session_file
from harness.backends.session_file import Session

SESSION = Session("claude", "abc", "/work", 1.5, 7, 9, ("Bash(ls *)",))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    """[H38] By its owner only."""
    path = tmp_path / "session.json"
    session_file.write(path, SESSION)
    assert session_file.read(path, "claude", Path("/work")) == SESSION
    assert path.stat().st_mode & 0o777 == 0o600
    session_file.forget(path)
    session_file.forget(path)
    assert session_file.read(path, "claude", Path("/work")) is None


@pytest.mark.parametrize(("backend", "cwd"), [("codex", "/work"), ("claude", "/other")])
def test_another_program_or_folder_has_no_session(tmp_path: Path, backend: str, cwd: str) -> None:
    """Ours: it would not be found there."""
    path = tmp_path / "session.json"
    session_file.write(path, SESSION)
    assert session_file.read(path, backend, Path(cwd)) is None


def test_an_older_file_has_fewer_fields(tmp_path: Path) -> None:
    """Ours: it is good."""
    path = tmp_path / "session.json"
    path.write_text('{"backend": "claude", "id": "abc", "cwd": "/work"}', encoding="utf-8")
    assert session_file.read(path, "claude", Path("/work")) == Session("claude", "abc", "/work")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', '{"id": "a"}', '{"backend": "claude", "id": "", "cwd": "/work"}']
)
def test_a_broken_file_is_none(tmp_path: Path, text: str) -> None:
    """Ours: a new session begins."""
    path = tmp_path / "session.json"
    path.write_text(text, encoding="utf-8")
    assert session_file.read(path, "claude", Path("/work")) is None


def test_a_disk_that_takes_nothing_fails_no_turn(tmp_path: Path) -> None:
    """Ours: the model loses its memory, no more."""
    path = tmp_path / "no-such-folder" / "session.json"
    session_file.write(path, replace(SESSION, id="x"))
    assert session_file.read(path, "claude", Path("/work")) is None
