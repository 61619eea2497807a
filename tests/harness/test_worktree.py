"""A branch and a folder of an agent's own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.workspace import Workspace
from harness.worktree import Worktree, identity, worktree_of
from wire.home import Home
from wire.settings import AgentSettings

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="left out: git is not installed")


def git(folder: Path, *words: str) -> str:
    """Run git as somebody."""
    who = {f"GIT_{role}_{what}": "x@example.invalid" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, and something uncommitted of its owner's."""
    folder = tmp_path / "repository"
    (folder / "part").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "part" / "file").write_text("one\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    (folder / "part" / "file").write_text("the owner's\n")
    return folder


def of(repository: Path, tmp_path: Path, agent: str = "alice") -> Worktree:
    """Give the worktree of an agent."""
    (tmp_path / agent).mkdir(exist_ok=True)
    return worktree_of(agent, repository, tmp_path / agent)


def prepared(tree: Worktree) -> Path:
    """Make it, and give where the agent works."""
    tree.prepare()
    return tree.place


def test_an_agent_gets_a_branch_and_a_folder_of_its_own(repository: Path, tmp_path: Path) -> None:
    """[H26] Issue 4.7: what the owner has in the works is neither seen nor touched."""
    place = prepared(of(repository, tmp_path))
    assert place == tmp_path / "alice" / "worktree"
    assert (place / "part" / "file").read_text() == "one\n"
    assert git(place, "branch", "--show-current") == "queenpost/alice"
    assert (repository / "part" / "file").read_text() == "the owner's\n"
    assert git(repository, "branch", "--show-current") == "main"


def test_a_workdir_within_the_repository_is_one_within_the_worktree(repository: Path, tmp_path: Path) -> None:
    """Ours."""
    assert prepared(of(repository / "part", tmp_path)) == tmp_path / "alice" / "worktree" / "part"


def test_two_agents_have_two(repository: Path, tmp_path: Path) -> None:
    """Issue 4.7."""
    places = [prepared(of(repository, tmp_path, name)) for name in ("alice", "bob")]
    (places[0] / "part" / "file").write_text("alice's\n")
    assert (places[1] / "part" / "file").read_text() == "one\n"


def test_prepared_again_it_is_left_as_it_is(repository: Path, tmp_path: Path) -> None:
    """Issue 4, Bad input: a dirty one too; nothing is lost by a restart."""
    tree = of(repository, tmp_path)
    place = prepared(tree)
    (place / "part" / "file").write_text("half done\n")
    git(place, "checkout", "-q", "-b", "somewhere-else")
    assert prepared(tree) == place
    assert (place / "part" / "file").read_text() == "half done\n"
    assert git(place, "branch", "--show-current") == "somewhere-else"


def test_a_folder_that_was_deleted_comes_back_on_its_branch(repository: Path, tmp_path: Path) -> None:
    """Ours: what was committed is there."""
    tree = of(repository, tmp_path)
    place = prepared(tree)
    (place / "new").write_text("kept\n")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "work of alice")
    shutil.rmtree(place)
    assert (prepared(tree) / "new").read_text() == "kept\n"


def test_the_folder_of_another_repository_is_not_taken(repository: Path, tmp_path: Path) -> None:
    """Ours: `workdir` was changed; the old work stays, and it is said what to do."""
    of(repository, tmp_path).prepare()
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "-q", "--allow-empty", "-m", "first")
    with pytest.raises(NotStartedError, match="worktree of another repository"):
        of(other, tmp_path).prepare()
    assert (tmp_path / "alice" / "worktree" / "part" / "file").exists()


def test_what_is_no_repository_is_said_with_the_words_of_git(tmp_path: Path) -> None:
    """Bad input: the program is not started, and the mail is not to blame."""
    folder = tmp_path / "plain"
    folder.mkdir()
    with pytest.raises(NotStartedError, match="not a git repository") as refused:
        of(folder, tmp_path).prepare()
    assert refused.value.outcome == "missing_program"


def test_a_repository_without_a_commit_has_nothing_to_begin_at(tmp_path: Path) -> None:
    """Bad input."""
    folder = tmp_path / "empty"
    folder.mkdir()
    git(folder, "init", "-q")
    with pytest.raises(NotStartedError, match="git worktree add"):
        of(folder, tmp_path).prepare()


def test_without_git_it_is_said(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotStartedError, match="needs git"):
        of(repository, tmp_path).prepare()


def test_what_the_harness_inherited_does_not_point_git_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: a harness that was started from a git hook, say."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert (prepared(of(repository, tmp_path)) / "part").is_dir()


def test_commits_are_told_apart_from_those_of_the_user() -> None:
    """Issue 4.7: by name and by an address that can be nobody's."""
    assert identity("alice", "demo")["GIT_AUTHOR_NAME"] == "alice (demo)"
    assert identity("alice", "demo")["GIT_COMMITTER_EMAIL"] == "alice@demo.queenpost.invalid"


async def test_an_agent_with_a_worktree_works_in_it(repository: Path, tmp_path: Path) -> None:
    """Issue 4.7: prepared before the turn; its program starts there and commits under the agent's name."""
    home = Home(tmp_path / "home")
    home.create()
    workspace = Workspace(home, "alice")
    workspace.make()
    settings = AgentSettings(backend="command", command=["x"], workdir=str(repository / "part"), worktree=True)
    seat = Seat(workspace, settings, "http://127.0.0.1:1/mcp", "the-bearer")
    await seat.prepare()
    assert seat.cwd == workspace.state / "worktree" / "part"
    assert (seat.cwd / "file").read_text() == "one\n"
    assert seat.environment()["GIT_AUTHOR_NAME"] == f"alice ({home.fleet_name})"


def test_a_worktree_needs_a_repository_to_be_of() -> None:
    """Bad input: said when the file is read."""
    with pytest.raises(ValidationError, match="worktree = true needs workdir"):
        AgentSettings(backend="command", command=["x"], worktree=True)
