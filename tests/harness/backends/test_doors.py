"""How each program is started at a terminal, in its agent's own session."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.backends import doors
from harness.backends.claude import terminal as claude
from harness.backends.door import Door
from harness.backends.protocol import NotStartedError
from harness.backends.session_file import Session
from tests.harness.backends.conftest import MakeSeat
from wire.settings import AccountSettings, AgentSettings, Backend

MakeDoor = Callable[..., Door]


@pytest.fixture
def door_for(seat_for: MakeSeat) -> MakeDoor:
    """Make the door of a backend whose program is there."""

    def make(backend: Backend, *, fork: bool = False, account: AccountSettings | None = None, **more: object) -> Door:
        seat = seat_for(backend=backend, command=[sys.executable], **more)
        return doors.door_of(replace(seat, account=account), session(backend), fork=fork)

    return make


def session(backend: Backend = "claude") -> Session:
    """A session that was spent in, with a rule."""
    return Session(backend, "the-session", "/work", spent_usd=1.0, allowed=("Bash(ls)",))


@pytest.mark.parametrize(
    ("backend", "own", "copy"),
    [
        ("claude", ["--resume", "the-session"], ["--resume", "the-session", "--fork-session"]),
        ("codex", ["resume", "the-session"], ["fork", "the-session"]),
        ("opencode", ["--session", "the-session"], ["--session", "the-session", "--fork"]),
    ],
)
def test_the_session_is_named_and_a_copy_is_made_of_it(
    door_for: MakeDoor, backend: Backend, own: list[str], copy: list[str]
) -> None:
    """Issue 4.9: in the program's own words; the token comes from the environment, and is in no argument."""
    for fork, words in ((False, own), (True, copy)):
        door = door_for(backend, fork=fork)
        assert door.argv[1 : 1 + len(words)] == words
        assert door.env["QUEENPOST_MCP_TOKEN"] == "the-bearer"
        assert not [word for word in door.argv if "the-bearer" in word]
        assert door.left(session(backend)) == session(backend)


def test_gemini_opens_its_session_without_the_mail_tools_and_copies_none(door_for: MakeDoor) -> None:
    """Ours: it is said before it starts."""
    door = door_for("gemini", permissions="edits")
    assert door.argv[1:3] == ["--resume", "the-session"]
    assert door.argv[door.argv.index("--approval-mode") + 1] == "auto_edit"
    assert "without its mail tools" in (door.hint or "")
    with pytest.raises(NotStartedError, match="cannot copy"):
        doors.refuse(AgentSettings(backend="gemini"), fork=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (AgentSettings(), "its backend is 'none'"),
        (AgentSettings(backend="command", command=["x"]), "'command' has no session"),
        (AgentSettings(backend="scripted", script="echo"), "'scripted' has no session"),
    ],
)
def test_what_has_no_session_is_refused(settings: AgentSettings, words: str) -> None:
    """Issue 4.9: by its name."""
    with pytest.raises(NotStartedError, match=words):
        doors.refuse(settings, fork=False)


def test_codex_takes_no_key_at_a_terminal(door_for: MakeDoor) -> None:
    """Ours: it would show its login; what to do is said."""
    with pytest.raises(NotStartedError, match="queenpost login"):
        door_for("codex", env={"OPENAI_API_KEY": "sk-of-the-test"})


def test_claude_has_its_permissions_and_who_can_be_asked(door_for: MakeDoor) -> None:
    """Issue 4.9: as in its turns, and what was allowed for the session; here somebody is there to be asked."""
    argv = door_for("claude", permissions="edits", allowed_tools=["Read"], model="opus", args=["--verbose"]).argv
    assert argv[argv.index("--permission-mode") + 1] == "acceptEdits"
    allowed = argv[argv.index("--allowedTools") + 1 : argv.index("--disallowedTools")]
    assert allowed == ["mcp__queenpost", "Read", "Bash(ls)"]
    assert "SendMessage" in argv
    assert "AskUserQuestion" not in argv
    assert argv[argv.index("--model") + 1] == "opus"
    assert argv[-1] == "--verbose"


def test_settings_of_the_agents_own_are_not_taken_from_it(door_for: MakeDoor) -> None:
    """Ours: the program takes one `--settings`; then a session that it leaves for another is not followed."""
    assert door_for("claude", args=["--settings", "mine.json"]).argv.count("--settings") == 1
    assert door_for("claude", fork=True).argv.count("--settings") == 0


def test_claude_asks_nothing_at_the_first_terminal_of_a_folder_of_its_own(door_for: MakeDoor, tmp_path: Path) -> None:
    """Ours: what it knows there already stays."""
    key = tmp_path / "key"
    key.write_text("ANTHROPIC_API_KEY=sk-ant-of-the-test-0123456789\n", encoding="utf-8")
    for known in ({}, {"theme": "light", "numStartups": 3}):
        door = door_for("claude", env_file=str(key))
        path = Path(door.env["CLAUDE_CONFIG_DIR"]) / ".claude.json"
        said = json.loads(path.read_text(encoding="utf-8"))
        assert said["hasCompletedOnboarding"] is True
        assert said["customApiKeyResponses"]["approved"] == ["of-the-test-0123456789"[-20:]]
        assert said["projects"][str(door.cwd)]["hasTrustDialogAccepted"] is True
        path.write_text(json.dumps({**said, **known}), encoding="utf-8")
    door_for("claude", env_file=str(key))
    said = json.loads(path.read_text(encoding="utf-8"))
    assert (said["theme"], said["numStartups"]) == ("light", 3)


def test_the_folder_of_a_user_is_left_alone(door_for: MakeDoor, tmp_path: Path) -> None:
    """Ours: what Claude Code asks there it asks its owner."""
    users = tmp_path / "of-the-user"
    users.mkdir()
    door = door_for("claude", env={"CLAUDE_CONFIG_DIR": str(users), "ANTHROPIC_API_KEY": "sk-ant-of-the-test"})
    assert door.env["CLAUDE_CONFIG_DIR"] == str(users)
    assert list(users.iterdir()) == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"session_id": "the-session", "source": "resume"}, "the-session"),
        ({"session_id": "another", "source": "clear"}, "another"),
        ({"session_id": "another", "source": "resume"}, "the-session"),
        ({"session_id": "another", "source": "clear", "transcript_path": "/no/such/file"}, None),
        ({}, "the-session"),
    ],
)
def test_the_session_that_claude_was_left_in(tmp_path: Path, told: dict[str, str], expected: str | None) -> None:
    """Issue 4.9: `/clear` begins another one, which has cost nothing and allows nothing; a visit changes nothing."""
    noted = tmp_path / "noted.json"
    noted.write_text(json.dumps({"transcript_path": str(noted), **told}), encoding="utf-8")
    found = claude.left(noted, session())
    assert (found.id if found else None) == expected
    if found is not None and expected == "another":
        assert (found.spent_usd, found.allowed) == (0.0, ())


def test_a_program_that_told_nothing_is_believed_to_have_stayed(tmp_path: Path) -> None:
    """Ours."""
    assert claude.left(tmp_path / "missing.json", session()) == session()
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    assert claude.left(tmp_path / "broken.json", session()) == session()
