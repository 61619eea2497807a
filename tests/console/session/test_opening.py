"""What the programs are started with, and which of the user's words are refused."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from console.session.opening import KINDS, Opened, check_words
from wire.errors import Invalid
from wire.home import Home


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Give alice, in a home with a blank in its path."""
    return Opened("alice", Home(tmp_path / "my fleet"))


def claude(opened: Opened) -> tuple[Any, Any]:
    """Give the two objects that Claude Code is started with."""
    mcp, servers, settings, value = KINDS["claude"].words(opened)
    assert (mcp, settings) == ("--mcp-config", "--settings")
    return json.loads(servers), json.loads(value)


def test_claude_gets_our_tools_and_may_use_them(opened: Opened) -> None:
    """[P06] A session that was woken does not wait for somebody to allow `recv`; the rest is the user's own."""
    servers, settings = claude(opened)
    entry = servers["mcpServers"]["queenpost"]
    assert entry["alwaysLoad"] is True
    assert entry["args"] == ["-P", "-m", "mcp_tools", "--agent", "alice", "--home", str(opened.home.root), "--attach"]
    assert set(settings) == {"permissions", "hooks"}
    assert settings["permissions"] == {"allow": ["mcp__queenpost"]}


def test_claude_waits_for_mail_beside_whatever_it_does(opened: Opened) -> None:
    """[P02] From its start, behind each turn, and from each prompt on: a turn that is broken off has no end."""
    _, settings = claude(opened)
    waiting = {
        event: [hook for hook in groups[0]["hooks"] if hook.get("asyncRewake")]
        for event, groups in settings["hooks"].items()
    }
    assert {event: len(hooks) for event, hooks in waiting.items()} == {
        "SessionStart": 1, "UserPromptSubmit": 1, "PostToolUse": 0, "Stop": 1,
    }  # fmt: skip
    for hook in (hook for hooks in waiting.values() for hook in hooks):
        assert 86_400 < hook["timeout"] < 2**31 / 1000
        assert hook["command"].startswith("exec ")
        assert hook["command"].endswith(f"waiting.py wait alice '{opened.home.root}'")
    told = [hook["command"] for groups in settings["hooks"].values() for hook in groups[0]["hooks"]]
    assert sum("session.py stop alice" in command for command in told) == 1


def test_codex_gets_our_tools_and_hooks_as_valid_toml(opened: Opened) -> None:
    """Ours: each value is read as TOML by the program; the commands are the same every time, so it asks only once."""
    words = KINDS["codex"].words(opened)
    assert words == KINDS["codex"].words(opened)
    assert set(words[::2]) == {"-c"}
    given = tomllib.loads("\n".join(words[1::2]))
    server = given["mcp_servers"]["queenpost"]
    assert server["args"][-1] == "--attach"
    assert server["default_tools_approval_mode"] == "approve"
    commands = {
        event: [hook["command"] for group in groups for hook in group["hooks"]]
        for event, groups in given["hooks"].items()
    }
    assert {event: len(found) for event, found in commands.items()} == {
        "SessionStart": 2, "UserPromptSubmit": 1, "PostToolUse": 1, "Stop": 2,
    }  # fmt: skip
    assert f"waiting.py tell alice '{opened.home.root}'" in commands["UserPromptSubmit"][0]


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_token_is_among_the_words(opened: Opened, kind: str) -> None:
    """Spec (DESIGN 6): the server reads it from the home."""
    secret = opened.home.agent_secret("alice")
    secret.parent.mkdir(parents=True)
    secret.write_text("a-token-that-is-long-enough")
    assert "a-token" not in " ".join(KINDS[kind].words(opened))


@pytest.mark.parametrize(
    ("kind", "words", "says"),
    [
        ("claude", ["-p", "hello"], "a session that you attend"),
        ("claude", ["--print"], "a session that you attend"),
        ("claude", ["--bare"], "switches the hooks off"),
        ("claude", ["--safe-mode"], "switches the hooks off"),
        ("claude", ["--settings", "mine.json"], r"\.claude/settings\.local\.json"),
        ("claude", ["--settings=mine.json"], r"\.claude/settings\.local\.json"),
        ("claude", ["--mcp-config", '{"mcpServers": {"queenpost": {}}}'], "the name of ours"),
        ("claude", ['--mcp-config={"mcpServers": {"queenpost": {}}}'], "the name of ours"),
        ("claude", ["--mcp-config", "{}", '{"mcpServers": {"queenpost": {}}}', "--model", "m"], "the name of ours"),
        ("codex", ["exec", "hello"], "a session that you attend"),
        ("codex", ["-c", 'mcp_servers.queenpost.command="x"'], "take the place"),
        ("codex", ["--config=hooks.Stop=[]"], "take the place"),
    ],
)
def test_words_that_would_cut_the_session_off_are_refused(kind: str, words: list[str], says: str) -> None:
    """Issue 4.10, misuse: said before anything is started, with what to do instead."""
    with pytest.raises(Invalid, match=says):
        check_words(KINDS[kind], words)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("claude", ["--model", "opus", "fix the -p flag"]),
        ("claude", ["--resume", "--mcp-config", '{"mcpServers": {"mine": {}}}', "missing.json", "not json {"]),
        ("claude", ["--", "-p"]),
        ("claude", ["--mcp-config", '{"mcpServers": []}']),
        ("codex", ["resume", "--last", "-c", 'model="x"']),
        ("codex", []),
    ],
)
def test_all_other_words_are_the_users(kind: str, words: list[str]) -> None:
    """Ours: what the program does not understand it says itself."""
    check_words(KINDS[kind], words)
