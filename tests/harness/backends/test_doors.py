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
from tests.architecture.tree import ROOT
from tests.fakes import codex_halves
from tests.harness.backends.conftest import MakeSeat
from wire.settings import AccountSettings, AgentSettings, Backend

MakeDoor = Callable[..., Door]


@pytest.fixture
def door_for(seat_for: MakeSeat) -> MakeDoor:
    """Make the door of a backend whose program is there."""

    def make(backend: Backend, *, fork: bool = False, account: AccountSettings | None = None, **more: object) -> Door:
        seat = seat_for(**{"backend": backend, "command": [sys.executable], **more})
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


def test_gemini_opens_its_session_and_copies_none(door_for: MakeDoor) -> None:
    """Issue 4.9: in the program's own words."""
    door = door_for("gemini", permissions="edits")
    assert door.argv[1:3] == ["--resume", "the-session"]
    assert door.argv[door.argv.index("--approval-mode") + 1] == "auto_edit"
    with pytest.raises(NotStartedError, match="cannot copy"):
        doors.refuse(AgentSettings(backend="gemini"), fork=True)


def test_gemini_opens_also_where_everything_else_runs_without_a_person(door_for: MakeDoor) -> None:
    """Issue 4.9: a shell of a build machine, or a container that was made in one, says so to all it starts."""
    door = door_for("gemini", env={"CI": "true", "GITHUB_ACTIONS": "true", "CONTINUOUS_INTEGRATION": "1", "CITY": "x"})
    assert not {"CI", "GITHUB_ACTIONS", "CONTINUOUS_INTEGRATION"} & door.env.keys()
    assert door.env["CITY"] == "x"


USERS = {"ui": {"theme": "Ayu"}, "mcpServers": {"mine": {"command": "mine", "env": {"KEY": "of-the-user"}}}}


@pytest.fixture
def gemini_home(tmp_path: Path) -> Path:
    """A user's home in which Gemini CLI was."""
    folder = tmp_path / "user" / ".gemini"
    (folder / "tmp").mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps(USERS), encoding="utf-8")
    (folder / "oauth_creds.json").write_text("a login", encoding="utf-8")
    (folder.parent / ".env").write_text("X=1\n", encoding="utf-8")
    return folder.parent


@pytest.mark.anyio
async def test_gemini_has_the_agents_servers_in_a_copy_of_its_settings(
    door_for: MakeDoor, gemini_home: Path, tmp_path: Path
) -> None:
    """Issue 4.9: the user's files stay as they are; all else is a link; no secret is written, and nothing stays."""
    servers = tmp_path / "servers.json"
    entry = {"type": "http", "url": "https://db/mcp", "headers": {"Authorization": "Bearer ${DB_TOKEN}"}}
    servers.write_text(json.dumps({"mcpServers": {"db": entry}}), encoding="utf-8")
    env = {"GEMINI_CLI_HOME": str(gemini_home), "DB_TOKEN": "of-the-database"}
    door = door_for("gemini", mcp=str(servers), env=env)
    assert door.hint is None
    assert "--allowed-mcp-server-names=db" in door.argv
    folder = Path(door.env["GEMINI_CLI_HOME"]) / ".gemini"
    for _ in range(2):
        async with door.beside() as words:
            assert list(words) == []
            text = (folder / "settings.json").read_text(encoding="utf-8")
            assert not [one for one in ("the-bearer", "of-the-database", "of-the-user") if one in text]
            said = json.loads(text)
            assert said["ui"] == USERS["ui"]
            assert list(said["mcpServers"]) == ["queenpost", "db"]
            assert said["mcpServers"]["queenpost"]["httpUrl"] == "${QUEENPOST_MCP_URL}"
            assert said["mcpServers"]["db"]["headers"] == entry["headers"]
            assert (folder / "settings.json").stat().st_mode & 0o077 == 0
            (folder / "oauth_creds.json").write_text("a new login", encoding="utf-8")
            (folder / "tmp" / "history").write_text("x", encoding="utf-8")
            (folder / "tmp.json").write_text("its own", encoding="utf-8")
            assert (folder.parent / ".env").read_text(encoding="utf-8") == "X=1\n"
        assert [path.name for path in folder.iterdir()] == ["tmp.json"]
    users = gemini_home / ".gemini"
    assert json.loads((users / "settings.json").read_text(encoding="utf-8")) == USERS
    assert (users / "oauth_creds.json").read_text(encoding="utf-8") == "a new login"
    assert (users / "tmp" / "history").exists()


@pytest.mark.anyio
async def test_gemini_has_no_mail_tools_where_its_settings_cannot_be_read(
    door_for: MakeDoor, gemini_home: Path, tmp_path: Path
) -> None:
    """Ours: it is said before it starts; a copy that cannot be made is an error that says so."""
    env = {"GEMINI_CLI_HOME": str(gemini_home)}
    door = door_for("gemini", env=env)
    copy = Path(door.env["GEMINI_CLI_HOME"])
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text("in the way", encoding="utf-8")
    with pytest.raises(NotStartedError, match="cannot be made"):
        async with door.beside():
            pass
    (gemini_home / ".gemini" / "settings.json").write_text("{} // mine", encoding="utf-8")
    door = door_for("gemini", env=env)
    assert "without its mail tools" in (door.hint or "")
    assert door.env["GEMINI_CLI_HOME"] == str(gemini_home)


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


KEY = "sk-of-the-test"
HALVES = [sys.executable, codex_halves.__file__, str(ROOT)]


@pytest.mark.anyio
async def test_codex_with_a_key_is_the_window_of_a_server_that_was_told_it(door_for: MakeDoor) -> None:
    """[H35] Issue 4.9: the key goes over a socket of our own; permissions and tools are the server's."""
    door = door_for("codex", command=HALVES, permissions="edits", env={"OPENAI_API_KEY": KEY}, args=["-c", "a=1"])
    assert door.argv == [*HALVES, "resume", "the-session"]
    async with door.beside() as words:
        assert words[0] == "--remote"
        socket = Path(words[1].removeprefix("unix://"))
        assert socket.parent.stat().st_mode & 0o077 == 0
        server = json.loads(socket.with_name(codex_halves.NOTES).read_text(encoding="utf-8"))
        assert [method for method, _ in server["told"]] == ["initialize", "initialized", "account/login/start"]
        assert server["told"][-1][1] == {"type": "apiKey", "apiKey": KEY}
        for setting in ("a=1", 'sandbox_mode="workspace-write"', 'approval_policy="on-request"'):
            assert setting in server["words"]
        assert 'cli_auth_credentials_store="ephemeral"' in server["words"]
        assert any(word.startswith("mcp_servers.queenpost=") for word in server["words"])
        assert KEY not in " ".join([*door.argv, *words, *server["words"]])
    assert not socket.parent.exists()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("plays", "words"),
    [("old", "0.169 does"), ("mute", "did not come to listen"), ("proud", "did not take the agent's key: that is no")],
)
async def test_a_codex_that_cannot_be_told_a_key_says_why(door_for: MakeDoor, plays: str, words: str) -> None:
    """Ours: before anybody sees its window; what to do is said where something can be done."""
    door = door_for("codex", command=HALVES, env={"OPENAI_API_KEY": KEY, "PLAYS": plays})
    with pytest.raises(NotStartedError, match=words):
        async with door.beside():
            pass


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
