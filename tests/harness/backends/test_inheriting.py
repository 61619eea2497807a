"""Parts of the user's own configuration in an agent's folder: linked, taken away, and nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.backends.inheriting import take_over, users_folder
from harness.backends.protocol import NotStartedError
from tests.harness.backends.conftest import MakeSeat
from wire.settings_own import PARTS, Part

FOLDERS = {
    "claude": (".claude", ""),
    "codex": (".codex", ""),
    "opencode": (".config/opencode", "config/opencode"),
    "gemini": (".gemini", ".gemini"),
}
CREDENTIALS = (".credentials.json", "auth.json", "settings.json", "config.toml", ".claude.json", "oauth_creds.json")


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A user with everything, for every program."""
    home = tmp_path / "user"
    for backend, parts in PARTS.items():
        folder = home / FOLDERS[backend][0]
        for name in (name for names in parts.values() for name in names[:1]):
            if name.endswith(".md"):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(f"{backend} {name}")
            else:
                (folder / name / "one").mkdir(parents=True)
                (folder / name / ".hidden").write_text("x")
        for name in CREDENTIALS:
            (folder / name).write_text("secret")
    return home


def took(tmp_path: Path, backend: str, parts: Sequence[Part], own: Mapping[str, str] | None = None) -> list[str]:
    """Take over; gives what lies in the agent's folder then, relative to its configuration."""
    folder = tmp_path / "agent" / backend
    environment = {"HOME": str(tmp_path / "user")}
    take_over(backend, parts, folder, own=own or {}, environment=environment)
    ours = folder / FOLDERS[backend][1]
    return sorted(str(path.relative_to(ours)) for path in ours.rglob("*") if path.is_symlink())


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    ("backend", "there"),
    [
        ("claude", ["CLAUDE.md", "agents/one", "commands/one", "skills/one"]),
        ("codex", ["AGENTS.md", "skills/one"]),
        ("opencode", ["AGENTS.md", "agents/one", "commands/one", "skills/one"]),
        ("gemini", ["GEMINI.md", "agents", "commands/one", "skills/one"]),
    ],
)
def test_what_is_named_is_linked_and_never_a_login(tmp_path: Path, backend: str, there: list[str]) -> None:
    """DESIGN 8: credentials and settings are neither copied nor linked, whatever is named."""
    assert took(tmp_path, backend, list(PARTS[backend])) == there
    folder = tmp_path / "agent" / backend
    assert not [path for path in folder.rglob("*") if path.name in CREDENTIALS]
    assert took(tmp_path, backend, []) == []
    assert (tmp_path / "user" / FOLDERS[backend][0] / "skills/one").is_dir(), "the user's own stays"


@pytest.mark.usefixtures("user")
def test_what_the_user_adds_and_removes_is_followed(tmp_path: Path, user: Path) -> None:
    """Ours: at the next turn."""
    assert took(tmp_path, "claude", ["skills"]) == ["skills/one"]
    (user / ".claude/skills/one").rmdir()
    (user / ".claude/skills/two").mkdir()
    assert took(tmp_path, "claude", ["skills"]) == ["skills/two"]
    (tmp_path / "agent/claude/skills/mine").mkdir()
    assert took(tmp_path, "claude", []) == []
    assert (tmp_path / "agent/claude/skills/mine").is_dir()


@pytest.mark.usefixtures("user")
def test_what_is_the_agents_own_is_left_alone(tmp_path: Path) -> None:
    """Ours: a memory file that it wrote itself, a link to somewhere else."""
    folder = tmp_path / "agent/claude"
    folder.mkdir(parents=True)
    (folder / "CLAUDE.md").write_text("mine")
    (folder / "skills").mkdir()
    (folder / "skills/other").symlink_to(tmp_path)
    assert took(tmp_path, "claude", ["claude_md", "skills"]) == ["skills/one", "skills/other"]
    assert (folder / "CLAUDE.md").read_text() == "mine"
    assert took(tmp_path, "claude", []) == ["skills/other"]


@pytest.mark.usefixtures("user")
def test_from_the_folder_of_an_account_nothing_is_taken_away(tmp_path: Path, user: Path) -> None:
    """Ours: another agent of the account may have named it."""
    environment = {"HOME": str(user)}
    for parts in (["skills"], []):
        take_over("codex", parts, tmp_path / "account", own={}, environment=environment, shared=True)  # pyright: ignore[reportArgumentType]
    assert (tmp_path / "account/skills/one").is_symlink()


def test_a_user_without_any_of_it_is_no_error(tmp_path: Path) -> None:
    """Ours: there is nothing to take over."""
    assert took(tmp_path, "claude", ["skills", "claude_md"]) == []


def test_where_the_users_folder_is(tmp_path: Path) -> None:
    """Ours: by the program's own variable, else below the home."""
    assert users_folder("claude", {"CLAUDE_CONFIG_DIR": "/c", "HOME": "/h"}) == Path("/c")
    assert users_folder("opencode", {"XDG_CONFIG_HOME": "/x"}) == Path("/x/opencode")
    assert users_folder("gemini", {"GEMINI_CLI_HOME": "/g"}) == Path("/g/.gemini")
    assert users_folder("codex", {"HOME": "/h"}) == Path("/h/.codex")


def test_a_folder_that_the_settings_name_is_not_ours_to_fill(tmp_path: Path) -> None:
    """Ours: said, instead of doing nothing."""
    with pytest.raises(NotStartedError, match="take CLAUDE_CONFIG_DIR out of env, or inherit out"):
        took(tmp_path, "claude", ["skills"], own={"CLAUDE_CONFIG_DIR": "/c"})
    assert took(tmp_path, "claude", [], own={"CLAUDE_CONFIG_DIR": "/c"}) == []


async def test_an_agent_gets_it_before_its_turn(
    seat_for: MakeSeat, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[H26] Where it has a folder of its own; with the user's login all of it is there already."""
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    seat = seat_for(backend="claude", inherit=["claude_md"], env={"ANTHROPIC_API_KEY": "k"})
    await seat.prepare()
    folder = seat.login().folder
    assert folder is not None
    assert (folder / "CLAUDE.md").read_text() == "claude CLAUDE.md"
    await seat_for(backend="claude", inherit=["claude_md"]).prepare()
