"""The command line and what is written for the program, by the settings."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from harness.backends.gemini import launch
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from tests.harness.backends.conftest import MakeSeat
from wire.settings import AccountSettings

KEY = {"GEMINI_API_KEY": "AIza-fake"}


def settings_of(seat: Seat) -> dict[str, object]:
    """Give what stands in the agent's own settings."""
    path = seat.workspace.programs / "gemini/.gemini/settings.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("permissions", "mode"), [("ask", "default"), ("edits", "auto_edit"), ("deny", "default"), ("bypass", "yolo")]
)
def test_permissions_in_its_own_terms(seat_for: MakeSeat, permissions: str, mode: str) -> None:
    """[H38] What is not allowed yet is asked for over its own stream."""
    argv = launch.argv_of(seat_for(backend="gemini", permissions=permissions), [])
    assert argv[argv.index("--approval-mode") + 1] == mode


def test_the_command_line(seat_for: MakeSeat) -> None:
    """[H38] Our own tools need no permission; those of the user's servers are not there."""
    seat = seat_for(backend="gemini", args=["--debug"], model="gemini-2.5-pro")
    assert launch.argv_of(seat, [Path("/p/a.toml"), Path("/p/b")]) == [
        *("gemini", "--acp", "--skip-trust", "--policy=/p/a.toml", "--policy=/p/b"),
        *("--allowed-mcp-server-names=queenpost", "--approval-mode", "default"),
        *("--model", "gemini-2.5-pro", "--debug"),
    ]


def test_the_allow_list_becomes_a_policy(seat_for: MakeSeat, tmp_path: Path) -> None:
    """[H38] In its own grammar; the policies of the user hold as well."""
    seat = seat_for(backend="gemini", allowed_tools=["web_fetch", 'run_shell_command(git "log)', "ShellTool(ls)"])
    (path,) = launch.write_policies(seat, {"HOME": str(tmp_path)})
    common = {"decision": "allow", "priority": 500}
    assert tomllib.loads(path.read_text(encoding="utf-8"))["rule"] == [
        {"toolName": "web_fetch", **common},
        {"toolName": "run_shell_command", "commandPrefix": 'git "log', **common},
        {"toolName": "run_shell_command", "commandPrefix": "ls", **common},
    ]
    users = tmp_path / ".gemini/policies"
    users.mkdir(parents=True)
    assert launch.write_policies(seat, {"HOME": str(tmp_path)}) == [path, users]
    assert launch.write_policies(seat, {"HOME": str(tmp_path), launch.HOME: "/elsewhere"}) == [path]
    assert launch.write_policies(seat_for(backend="gemini"), {"HOME": str(tmp_path)}) == []


@pytest.mark.parametrize("entry", ["read_file(a.txt)", "run shell", "(ls)", "run_shell_command()", "mcp.x"])
def test_what_it_would_misread_is_refused(seat_for: MakeSeat, entry: str) -> None:
    """[H38] Of another tool it would pass over what stands in the brackets, and allow all of it."""
    with pytest.raises(NotStartedError, match="has to be the name of a tool, or run_shell_command"):
        launch.policy_of(seat_for(backend="gemini", allowed_tools=[entry]))


def test_a_key_of_its_own_means_a_folder_of_its_own(seat_for: MakeSeat) -> None:
    """Ours: with settings for it; those of the user are not touched, and without a key it has none."""
    seat = seat_for(backend="gemini", env=KEY)
    environment = launch.environment_of(seat)
    assert environment[launch.HOME] == str(seat.workspace.programs / "gemini")
    launch.write_settings(seat, environment)
    written = settings_of(seat)
    assert written["security"] == {"auth": {"selectedType": "gemini-api-key"}}
    assert written["privacy"] == {"usageStatisticsEnabled": False}
    inherited = seat_for(backend="gemini")
    assert launch.HOME not in launch.environment_of(inherited)
    elsewhere = seat_for(backend="gemini", env={**KEY, launch.HOME: "/elsewhere"})
    assert launch.environment_of(elsewhere)[launch.HOME] == "/elsewhere"


def test_what_stands_in_its_settings_goes_before(seat_for: MakeSeat) -> None:
    """Ours: we fill in; a file with comments is somebody's own hand."""
    seat = seat_for(backend="gemini", env={**KEY, "GOOGLE_GENAI_USE_VERTEXAI": "true"})
    environment = launch.environment_of(seat)
    path = seat.workspace.programs / "gemini/.gemini/settings.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"general": {"maxAttempts": 9, "vimMode": true}, "privacy": 7}', encoding="utf-8")
    launch.write_settings(seat, environment)
    filled = settings_of(seat)
    assert filled["general"] == {
        "maxAttempts": 9,
        "vimMode": True,
        "enableAutoUpdate": False,
        "enableAutoUpdateNotification": False,
        "sessionRetention": {"enabled": False},
    }
    assert (filled["privacy"], filled["security"]) == (7, {"auth": {"selectedType": "vertex-ai"}})
    path.write_text("{} // mine", encoding="utf-8")
    launch.write_settings(seat, environment)
    assert path.read_text(encoding="utf-8") == "{} // mine"


def test_a_login_of_an_account_keeps_its_kind(seat_for: MakeSeat) -> None:
    """Ours: whoever logged in there chose it."""
    seat = replace(seat_for(backend="gemini", account="team"), account=AccountSettings(auth="own"))
    environment = launch.environment_of(seat)
    launch.write_settings(seat, environment)
    path = Path(environment[launch.HOME]) / ".gemini/settings.json"
    assert "security" not in json.loads(path.read_text(encoding="utf-8"))


def test_what_cannot_be_written_is_said(seat_for: MakeSeat) -> None:
    """Ours: with its path."""
    seat = seat_for(backend="gemini", env=KEY, allowed_tools=["glob"])
    (seat.workspace.programs / "gemini").write_text("in the way")
    with pytest.raises(NotStartedError, match=r"programs/gemini/\.gemini/settings\.json cannot be written"):
        launch.write_settings(seat, launch.environment_of(seat))


def test_what_the_settings_say_goes_before_what_is_usual(seat_for: MakeSeat) -> None:
    """Ours: our defaults are no more than that."""
    assert launch.environment_of(seat_for(backend="gemini"))["GEMINI_CLI_NO_RELAUNCH"] == "true"
    own = launch.environment_of(seat_for(backend="gemini", env={"GEMINI_CLI_NO_RELAUNCH": ""}))
    assert own["GEMINI_CLI_NO_RELAUNCH"] == ""


def test_a_program_in_the_workdir_is_found(seat_for: MakeSeat) -> None:
    """Ours: as the operating system would."""
    seat = seat_for(backend="gemini", command=["./gemini"])
    path = seat.cwd / "gemini"
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(NotStartedError, match="was not found"):
        launch.find(seat, {"PATH": ""})
    path.chmod(0o700)
    assert launch.find(seat, {"PATH": ""}) == str(path)
