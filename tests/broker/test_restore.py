"""The program behind `queenpost restore`: what it says, and its exit codes."""

import json
from pathlib import Path

import pytest

from broker.restore import main
from broker.store.backup import back_up
from broker.store.database import open_database
from broker.store.lock import HomeLock
from wire.clock import FakeClock
from wire.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a database, and a backup of it."""
    home = Home(tmp_path / "home")
    home.create()
    with open_database(home.database, FakeClock()) as database:
        back_up(home.database, home.backups / "copy.db", database.queries)
    return home


def run(home: Home, *words: str) -> int:
    """Run it."""
    return main(["--home", str(home.root), *words])


def test_it_says_what_it_did_and_how_to_go_back(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """DESIGN 10: for people, and for programs."""
    copy = home.backups / "copy.db"
    assert run(home, str(copy)) == 0
    said = capsys.readouterr().out.splitlines()
    (aside,) = home.backups.glob("queenpost-before-restore-*.db")
    assert said[0] == f"{home.database} is now a copy of {copy}"
    assert said[1].endswith(f"`queenpost restore {aside}` goes back to it")
    assert "secrets are in no backup" in said[2]
    home.database.unlink()
    assert run(home, "--json", "--", str(copy)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"restored": str(copy), "database": str(home.database), "aside": None}


def test_a_refusal_is_one_line(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Style 12: exit 1; where a broker runs, 3."""
    assert run(home, "missing.db") == 1
    assert capsys.readouterr().err.startswith("queenpost: invalid: there is no file")
    lock = HomeLock.take(home.database.with_name("broker.db.lock"))
    try:
        assert run(home, str(home.backups / "copy.db")) == 3
    finally:
        lock.release()
    assert capsys.readouterr().err.startswith("queenpost: conflict: another broker")
