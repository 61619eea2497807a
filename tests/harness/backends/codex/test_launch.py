"""The command line, by the settings."""

from pathlib import Path

import pytest

from harness.backends.choose import backend_for
from harness.backends.codex import launch
from harness.backends.codex.backend import CodexBackend
from harness.backends.codex.exec import CodexExecBackend
from tests.harness.backends.conftest import MakeSeat

NOWHERE = {"HOME": "/no/such/home"}


def settings_in(argv: list[str]) -> dict[str, str]:
    """Give what follows each `-c`."""
    given = [argv[place + 1] for place, word in enumerate(argv) if word == "-c"]
    return {name: value for name, _, value in (one.partition("=") for one in given)}


@pytest.mark.parametrize(
    ("permissions", "approvals", "sandbox"),
    [
        ("ask", "on-request", "read-only"),
        ("edits", "on-request", "workspace-write"),
        ("deny", "never", "read-only"),
        ("bypass", "never", "danger-full-access"),
    ],
)
def test_permissions_in_its_own_terms(seat_for: MakeSeat, permissions: str, approvals: str, sandbox: str) -> None:
    """[H19] A sandbox, and whether it may ask to leave it."""
    thread = launch.thread_of(seat_for(backend="codex", permissions=permissions))
    assert (thread["approvalPolicy"], thread["sandbox"], thread["approvalsReviewer"]) == (approvals, sandbox, "user")


def test_what_is_allowed_has_to_be_asked_for(seat_for: MakeSeat) -> None:
    """[H19] Where it is never asked, a rule of ours could allow nothing; who decides denies the rest."""
    seat = seat_for(backend="codex", permissions="deny", allowed_tools=["apply_patch"])
    assert launch.thread_of(seat)["approvalPolicy"] == "on-request"


def test_the_model_is_named_where_it_is_set(seat_for: MakeSeat) -> None:
    """Ours: else it is the one of the program's own settings."""
    assert "model" not in launch.thread_of(seat_for(backend="codex"))
    assert launch.thread_of(seat_for(backend="codex", model="gpt-5.5"))["model"] == "gpt-5.5"


def test_our_server_is_required_and_its_token_is_only_named(seat_for: MakeSeat) -> None:
    """[H33] The token comes from the environment."""
    argv = launch.argv_of(seat_for(backend="codex", args=["-c", "notify=[1]"]), NOWHERE)
    assert argv[:2] == ["codex", "app-server"]
    assert "the-bearer" not in " ".join(argv)
    server = settings_in(argv)["mcp_servers.queenpost"]
    assert 'url="http://127.0.0.1:1/mcp", bearer_token_env_var="QUEENPOST_MCP_TOKEN", required=true' in server
    assert argv[-2:] == ["-c", "notify=[1]"]


def test_servers_of_the_user_are_not_the_agent_s(seat_for: MakeSeat, tmp_path: Path) -> None:
    """[H33] One of our name would be mixed with ours: ours gets another."""
    home = tmp_path / "codex"
    home.mkdir()
    config = '[mcp_servers.queenpost]\ncommand = "queenpost"\n[mcp_servers.files]\nurl = "http://127.0.0.1:9"\n'
    (home / "config.toml").write_text(config, encoding="utf-8")
    given = settings_in(launch.argv_of(seat_for(backend="codex"), {"CODEX_HOME": str(home)}))
    assert given["mcp_servers.queenpost.enabled"] == "false"
    assert given["mcp_servers.files.enabled"] == "false"
    assert "required=true" in given["mcp_servers.queenpost_fleet"]
    assert (home / "config.toml").read_text(encoding="utf-8") == config


@pytest.mark.parametrize("config", ["[mcp_servers", "mcp_servers = 7", "\udc80"])
def test_a_configuration_that_is_broken_is_left_to_the_program(seat_for: MakeSeat, tmp_path: Path, config: str) -> None:
    """Ours: it says better what is wrong."""
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex" / "config.toml").write_bytes(config.encode(errors="surrogateescape"))
    given = settings_in(launch.argv_of(seat_for(backend="codex"), {"HOME": str(tmp_path)}))
    assert not [name for name in given if name.endswith(".enabled")]


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, CodexBackend),
        ({"permissions": "bypass"}, CodexBackend),
        ({"warm": False}, CodexBackend),
        ({"warm": False, "permissions": "edits"}, CodexBackend),
        ({"warm": False, "permissions": "deny", "allowed_tools": ["apply_patch"]}, CodexBackend),
        ({"warm": False, "permissions": "deny"}, CodexExecBackend),
        ({"warm": False, "permissions": "bypass"}, CodexExecBackend),
    ],
)
def test_exec_is_for_those_that_ask_nobody(seat_for: MakeSeat, settings: dict[str, object], kind: type[object]) -> None:
    """[H19] It cannot ask: a prompt would be a silent no."""
    assert isinstance(backend_for(seat_for(backend="codex", **settings)), kind)


def test_a_program_in_the_workdir_is_found(seat_for: MakeSeat) -> None:
    """Ours: as the operating system would."""
    seat = seat_for(backend="codex", command=["./codex"])
    path = seat.cwd / "codex"
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(launch.NotStartedError, match="was not found"):
        launch.find(seat, {"PATH": ""})
    path.chmod(0o700)
    launch.find(seat, {"PATH": ""})
