"""When `queenpost codex` opens Codex in two halves: only where the user's words mean the same there."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from console.session.serving import served, settings_among
from tests.architecture.tree import ROOT
from tests.fakes import codex_halves


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ([], []),
        (["fix the tests"], []),
        (["-m", "gpt-5.5", "--sandbox=read-only", "-a", "never", "--search", "fix the tests"], []),
        (["-c", 'model="x"', "--enable", "goals", "--config=a.b=1"], ["-c", 'model="x"', "--enable", "goals"]),
        (["resume", "--last", "-c", "a=1"], ["-c", "a=1"]),
        (["fork", "01a1fe9d-1b03-7fe2-9419-28f069479abd", "go on"], []),
    ],
)
def test_these_words_mean_the_same_in_two_halves(words: list[str], settings: list[str]) -> None:
    """Issue 4.10: each was tried with both; settings are for the server too."""
    found = settings_among(words)
    assert found is not None
    assert found[: len(settings)] == settings
    assert found[len(settings) :] in ([], ["--config", "a.b=1"])


@pytest.mark.parametrize(
    "words",
    [
        ["--remote", "ws://elsewhere:1"],
        ["--no-daemon"],
        ["--add-dir", "/srv"],
        ["-C", "/srv"],
        ["--oss"],
        ["--profile", "mine"],
        ["--some-new-word"],
        ["--", "-p"],
        ["mcp", "list"],
        ["app-server"],
        ["login"],
        ["resume", "--last", "-s", "read-only"],
        ["-a", "never", "fork", "--last"],
        ["resume", "--dangerously-bypass-approvals-and-sandbox"],
    ],
)
def test_with_these_it_is_opened_in_one_piece(words: list[str]) -> None:
    """Issue 4.10: as always, woken by its queue."""
    assert settings_among(words) is None


@pytest.mark.anyio
async def test_nothing_is_started_where_it_would_not_be_the_same(tmp_path: Path) -> None:
    """Ours: an old Codex, or words for one piece, have no server."""
    program = tmp_path / "codex"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {codex_halves.__file__} {ROOT} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="qp-", dir="/tmp") as folder:
        socket = Path(folder, "s")
        async with served(str(program), [], ["-C", "/srv"], os.environ, socket) as server:
            assert server is None
        async with served(str(program), [], [], {**os.environ, "PLAYS": "old"}, socket) as server:
            assert server is None
        assert list(Path(folder).iterdir()) == []
        async with served(str(program), ["-c", "ours=1"], ["-m", "x", "-c", "mine=1"], os.environ, socket) as server:
            assert server is not None
            text = socket.with_name(codex_halves.NOTES).read_text("utf-8")
            assert '"words": ["-c", "ours=1", "-c", "mine=1"]' in text
