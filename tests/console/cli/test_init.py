"""init: a home and a file that works."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.cli import main
from wire.settings_file import read_settings


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stand in a new folder."""
    folder = tmp_path_factory.mktemp("p")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def test_init_here_makes_a_fleet_of_this_folder(project: Path) -> None:
    """DESIGN 1, 2: `./queenpost.toml` and `./.queenpost/` with a .gitignore of its own. [P10]"""
    result = CliRunner().invoke(main, ["init", "--here"])
    assert result.exit_code == 0
    assert "queenpost up" in result.stdout
    assert (project / ".queenpost" / ".gitignore").read_text() == "*\n"
    assert (project / ".queenpost").stat().st_mode & 0o777 == 0o700


def test_the_file_is_valid_and_every_example_in_it_too(project: Path) -> None:
    """Ours: what is commented out works once the comment signs are taken away."""
    CliRunner().invoke(main, ["init", "--here"])
    path = project / "queenpost.toml"
    settings = read_settings(path, home=project / ".queenpost")
    assert [name for name, agent in settings.agents.items() if agent.role == "manager"] == ["manager"]
    lines = path.read_text().splitlines()
    examples = [line.removeprefix("# ") if _is_example(line) else line for line in lines]
    path.write_text("\n".join(examples))
    everything = read_settings(path, home=project / ".queenpost")
    assert {"coder", "me"} <= everything.agents.keys()
    assert everything.fleet.name == "my-project"


def _is_example(line: str) -> bool:
    return line.startswith("# [") or (line.startswith("# ") and line.split()[2:3] == ["="])


def test_init_never_overwrites(project: Path) -> None:
    """Ours: settings that were written by hand get a home; a second time it is refused with exit 1."""
    (project / "queenpost.toml").write_text("# mine\n")
    first = CliRunner().invoke(main, ["init", "--here"])
    assert first.exit_code == 0
    assert "kept" in first.stdout
    assert (project / ".queenpost").is_dir()
    result = CliRunner().invoke(main, ["init", "--here"])
    assert result.exit_code == 1
    assert "stays as it is" in result.stderr
    assert (project / "queenpost.toml").read_text() == "# mine\n"


def test_settings_beside_no_home_are_not_passed_by_in_silence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: whoever wrote a file here and runs the fleet of the user is told so. [P10]"""
    monkeypatch.setenv("XDG_STATE_HOME", str(project / "state"))
    monkeypatch.delenv("QUEENPOST_HOME", raising=False)
    (project / "queenpost.toml").write_text("# mine\n")
    result = CliRunner().invoke(main, ["status"])
    assert "queenpost init --here" in result.stderr
    assert "no broker runs" in result.stderr


def test_init_elsewhere_puts_the_file_into_the_home(project: Path) -> None:
    """DESIGN 2: where `up` finds it."""
    result = CliRunner().invoke(main, ["init", "--home", "fleet", "--json"])
    home = project / "fleet"
    assert json.loads(result.stdout) == {"home": str(home), "config": str(home / "queenpost.toml")}
    assert (home / "queenpost.toml").exists()


def test_two_places_at_once_are_a_usage_error(project: Path) -> None:
    """Ours."""
    assert CliRunner().invoke(main, ["init", "--here", "--home", str(project)]).exit_code == 2
