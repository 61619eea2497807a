"""Where a new fleet goes, and every reason for which it must not."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from console.cli.options import Options
from console.new.place import check_goal, config_for, home_for, refuse_what_is_there, write
from console.supervisor.lock import hold
from tests.console.new.test_plan import plan
from wire.errors import Conflict, Invalid, QueenpostError
from wire.home import Home

FLEET = '[agents.manager]\nrole = "manager"\n'


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in a new folder, as a user whose home it is not."""
    folder = tmp_path_factory.mktemp("p")
    monkeypatch.delenv("QUEENPOST_HOME", raising=False)
    monkeypatch.setenv("HOME", str(folder.parent / "somebody"))
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def refusal(project: Path, options: Options | None = None) -> str:
    """Give the words with which a fleet here is refused."""
    options = options or Options()
    home = home_for(options, here=False)
    with pytest.raises(Conflict) as refused:
        refuse_what_is_there(options, home, config_for(options, home))
    return refused.value.message


def test_it_is_a_fleet_of_this_folder(project: Path) -> None:
    """Issue 4, item 10: the agents work where the user stands."""
    home = home_for(Options(), here=False)
    assert (home.root, config_for(Options(), home)) == (project / ".queenpost", project / "queenpost.toml")
    refuse_what_is_there(Options(), home, project / "queenpost.toml")


def test_a_named_home_is_taken(project: Path) -> None:
    """As `init` has it: --home, with the settings in it."""
    options = Options(home=project / "elsewhere")
    home = home_for(options, here=False)
    assert config_for(options, home) == project / "elsewhere" / "queenpost.toml"
    with pytest.raises(click.UsageError, match="two places"):
        home_for(options, here=True)


def test_settings_that_are_there_stay_and_the_next_step_is_named(project: Path) -> None:
    """Misuse: a second `new`; a fleet that runs; one without a manager; one with a mistake."""
    settings = project / "queenpost.toml"
    settings.write_text(FLEET)
    assert refusal(project).endswith('the goal: `queenpost up -d`, then `queenpost send manager "…"`')
    home = Home(project / ".queenpost")
    home.create()
    with hold(home.up_lock):
        assert refusal(project).endswith('give its manager the goal: `queenpost send manager "…"`')
    settings.write_text("[agents.bob]\n")
    assert "has the role of a manager" in refusal(project)
    settings.write_text("[agents.bob\n")
    assert "`queenpost doctor` names" in refusal(project)
    assert settings.read_text() == "[agents.bob\n"


def test_a_fleet_that_runs_without_settings_is_refused(project: Path) -> None:
    """Misuse: its broker has the home, under `up` or alone."""
    home = Home(project / ".queenpost")
    home.create()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home.socket))
        listening.listen()
        assert "`queenpost down` ends it" in refusal(project)


@pytest.mark.parametrize("role", ["manager", "worker"])
def test_a_prompt_that_is_there_stays(project: Path, role: str) -> None:
    """Misuse: never overwritten, and not taken for ours either; a link that leads nowhere counts."""
    (project / "prompts").mkdir()
    (project / "prompts" / f"{role}.md").symlink_to("nowhere")
    assert f"prompts/{role}.md is there already and stays as it is; move it away" in refusal(project)


def test_a_folder_within_a_fleet_has_to_be_meant(project: Path) -> None:
    """Misuse: the fleet above gets the goal, unless --here says otherwise."""
    Home(project / ".queenpost").create()
    (project / "src").mkdir()
    os.chdir(project / "src")
    with pytest.raises(Conflict, match="--here"):
        home_for(Options(), here=False)
    assert home_for(Options(), here=True).root == project / "src" / ".queenpost"


def test_the_home_folder_of_the_user_has_to_be_meant(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Misuse: agents in all of somebody's files."""
    monkeypatch.setenv("HOME", str(project))
    with pytest.raises(Invalid, match="mkdir project"):
        home_for(Options(), here=False)
    assert home_for(Options(), here=True).root == project / ".queenpost"


@pytest.mark.parametrize(("goal", "words"), [("", "is empty"), (" \n\t", "is empty"), ("é" * 12_289, "24,578 bytes")])
def test_a_goal_that_cannot_be_sent_is_refused_first(goal: str, words: str) -> None:
    """Bad input: before anything is written."""
    with pytest.raises(Invalid, match=words):
        check_goal(goal)
    assert check_goal(f" {'é' * 12_288}\n") == "é" * 12_288


def test_all_files_are_written_or_none(project: Path) -> None:
    """Misuse: one appears between the look and the writing."""
    one = plan(project)
    one.config.write_text("# mine\n")
    with pytest.raises(Conflict, match="nothing was written"):
        write(one)
    assert [path.name for path in project.rglob("*.md")] == []
    one.config.unlink()
    assert [path.name for path in write(one)] == ["manager.md", "worker.md", "queenpost.toml"]


def test_a_folder_that_cannot_be_written_to_is_said(project: Path) -> None:
    """Bad input."""
    (project / "prompts").write_text("a file")
    with pytest.raises(QueenpostError, match="nothing was written"):
        write(plan(project))
    assert not (project / "queenpost.toml").exists()
