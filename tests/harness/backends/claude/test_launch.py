"""The command line, by the settings."""

from pathlib import Path

import pytest

from harness.backends.claude import launch
from tests.harness.backends.conftest import MakeSeat

SERVERS = Path("/fleet/servers.json")


def after(argv: list[str], flag: str) -> list[str]:
    """Give what follows a flag, up to the next one."""
    rest = argv[argv.index(flag) + 1 :]
    end = next((place for place, word in enumerate(rest) if word.startswith("--")), len(rest))
    return rest[:end]


@pytest.mark.parametrize(
    ("permissions", "mode"),
    [("ask", "default"), ("edits", "acceptEdits"), ("deny", "dontAsk"), ("bypass", "bypassPermissions")],
)
def test_permissions_in_its_own_terms(seat_for: MakeSeat, permissions: str, mode: str) -> None:
    """[H26] What is not allowed yet is asked for over its own stream."""
    argv = launch.argv_of(seat_for(backend="claude", permissions=permissions), "s1", SERVERS, resume=False)
    assert after(argv, "--permission-mode") == [mode]
    assert after(argv, "--permission-prompt-tool") == ["stdio"]


def test_the_allow_list_is_in_its_own_grammar(seat_for: MakeSeat) -> None:
    """[H26] Our own tools need no permission; what goes past the broker is not there."""
    seat = seat_for(backend="claude", allowed_tools=["Bash(git *)", "Read"], args=["--max-turns", "9"], model="opus")
    argv = launch.argv_of(seat, "s1", SERVERS, resume=True)
    assert argv[0] == "claude"
    assert after(argv, "--allowedTools") == ["mcp__queenpost", "Bash(git *)", "Read"]
    assert {"SendMessage", "CronCreate", "AskUserQuestion"} <= set(after(argv, "--disallowedTools"))
    assert (after(argv, "--model"), after(argv, "--resume")) == (["opus"], ["s1"])
    assert "--session-id" not in argv
    assert argv[-2:] == ["--max-turns", "9"]
    assert after(argv, "--mcp-config") == [str(SERVERS)]


def test_what_the_settings_say_goes_before_what_is_usual(seat_for: MakeSeat) -> None:
    """Ours: our defaults are no more than that."""
    usual = launch.environment_of(seat_for(backend="claude"))
    assert usual["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] == "1"
    own = launch.environment_of(seat_for(backend="claude", env={"CLAUDE_CODE_MAX_RETRIES": "9"}))
    assert own["CLAUDE_CODE_MAX_RETRIES"] == "9"


def test_a_program_in_the_workdir_is_found(seat_for: MakeSeat) -> None:
    """Ours: as the operating system would."""
    seat = seat_for(backend="claude", command=["./claude"])
    path = seat.cwd / "claude"
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(launch.NotStartedError, match="was not found"):
        launch.find(seat, {"PATH": ""})
    path.chmod(0o700)
    assert launch.find(seat, {"PATH": ""}) == str(path)
