"""backup and restore: which path is meant, and what is said."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from console.cli import backup as module
from console.cli import main
from tests.console.conftest import Terminal
from wire.errors import Full
from wire.home import Home
from wire.office import FleetBackedUp


async def test_a_relative_path_is_where_the_caller_stands(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 10: the broker works in another folder."""
    monkeypatch.chdir(tmp_path)
    terminal.broker.answers["fleet.backup"] = lambda request: FleetBackedUp(path=request["path"], bytes=4096)
    path = str(tmp_path / "copy.db")
    assert await terminal.json("backup", "copy.db") == {"path": path, "bytes": 4096}
    assert (await terminal.broker.next("fleet.backup"))["path"] == path


async def test_without_a_path_it_goes_into_the_home(terminal: Terminal) -> None:
    """Ours: and the caller hears that secrets are not in it."""
    terminal.broker.answers["fleet.backup"] = lambda _: FleetBackedUp(path="/srv/home/backups/q.db", bytes=1_234_567)
    result = await terminal.type("backup")
    assert result.stdout == "wrote /srv/home/backups/q.db (1,234,567 bytes), checked\n"
    assert "secrets are not in it" in result.stderr
    assert (await terminal.broker.next("fleet.backup")).get("path") is None


async def test_a_refusal_is_one_line(terminal: Terminal) -> None:
    """Ours."""
    terminal.broker.answers["fleet.backup"] = lambda _: Full("no space for it")
    result = await terminal.type("backup")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "queenpost: full: no space for it")


def test_restore_becomes_the_broker_s_own_program(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 3: the command line opens no database; `--` keeps an odd name from being an option."""
    became: list[tuple[str, ...]] = []

    def become(*words: str) -> None:
        became.append(words)

    monkeypatch.setattr(module, "become", become)
    monkeypatch.chdir(tmp_path)
    for extra in ((), ("--json",)):
        result = CliRunner().invoke(main, ["--home", str(home.root), *extra, "restore", "copy.db"])
        assert result.exit_code == 0, result.output
    path = str(tmp_path / "copy.db")
    assert became == [
        ("broker.restore", "--home", str(home.root), "--", path),
        ("broker.restore", "--home", str(home.root), "--json", "--", path),
    ]


def test_restore_needs_a_file(home: Home) -> None:
    """Ours: usage."""
    assert CliRunner().invoke(main, ["--home", str(home.root), "restore"]).exit_code == 2
