"""Which account is meant, and whether it is logged in."""

import os
from pathlib import Path

import pytest

from console.doctor import accounts as doctor
from console.logins.accounts import FoundAccount, account_named, trouble_of
from console.logins.programs import is_logged_in
from tests.console.conftest import Home
from wire.errors import Invalid
from wire.private_files import write_secret
from wire.settings import AccountSettings

FILE = """
[accounts.team]
token_file = "secrets/team"
[accounts.max]
auth = "own"
[accounts.spare]
[agents.alice]
backend = "claude"
account = "team"
[agents.bob]
backend = "claude"
account = "max"
[agents.carol]
backend = "claude"
[agents.dora]
backend = "claude"
env = { ANTHROPIC_API_KEY = "k" }
[agents.emil]
backend = "command"
command = ["true"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Give a file with an account of each kind."""
    path = tmp_path / "queenpost.toml"
    path.write_text(FILE)
    return path


def program(folder: Path, name: str, code: str) -> dict[str, str]:
    """Put a program on a PATH of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_each_account_is_found_with_the_program_that_uses_it(config: Path, home: Home) -> None:
    """DESIGN 8: by the agents of the file; one with a key of its own belongs to no account."""
    found = {name: account_named(name, config, home, None) for name in ("team", "max", "default")}
    assert {name: (one.kind, one.backend) for name, one in found.items()} == {
        "team": ("token", "claude"), "max": ("own", "claude"), "default": ("inherit", "claude"),
    }  # fmt: skip
    assert found["max"].folder == home.accounts / "max" / "claude"
    assert found["default"].folder is None


def test_an_account_that_no_agent_uses_needs_its_program_named(config: Path, home: Home) -> None:
    """Bad input: says what to add."""
    with pytest.raises(Invalid, match=r"no agent uses it yet; say --backend claude\|codex\|opencode"):
        account_named("spare", config, home, None)
    assert account_named("spare", config, home, "codex").backend == "codex"


def test_an_account_that_is_not_declared_is_refused(config: Path, home: Home) -> None:
    """Bad input: with the names that are."""
    with pytest.raises(Invalid, match="it declares: max, spare, team"):
        account_named("tema", config, home, "claude")


def own(home: Home) -> FoundAccount:
    """Give an account with a folder of its own."""
    return FoundAccount("max", AccountSettings(auth="own"), "claude", home.accounts / "max" / "claude")


def test_the_program_is_asked_with_the_folder_of_the_account(home: Home, tmp_path: Path) -> None:
    """Issue 4.2: the login is proved where agents will look for it."""
    environment = program(
        tmp_path / "bin", "claude", 'echo "$CLAUDE_CONFIG_DIR $*" > "$0.asked"; echo \'{"loggedIn": true}\''
    )
    assert trouble_of(own(home), environment) is None
    asked = (tmp_path / "bin" / "claude.asked").read_text().strip()
    assert asked == f"{home.accounts}/max/claude auth status"


@pytest.mark.parametrize("code", ["echo '{\"loggedIn\": false}'", "echo garbage", "exit 1", "echo '[]'"])
def test_whatever_is_no_yes_is_no_login(home: Home, tmp_path: Path, code: str) -> None:
    """Issue 4.2: nothing is assumed; the remedy is one command."""
    account = own(home)
    trouble = trouble_of(account, program(tmp_path / "bin", "claude", code))
    assert trouble == f"claude is not logged in in {account.folder}"
    assert account.mend == "queenpost login max"


def test_a_token_is_read_as_the_harness_would(home: Home) -> None:
    """Issue 4.2: missing, then readable by all, then well; nothing of it is printed."""
    file = home.secrets / "team"
    account = FoundAccount("team", AccountSettings(token_file=str(file)), "claude", None)
    assert "No such file" in (trouble_of(account) or "")
    assert account.mend.startswith(f"put `claude setup-token`, or an API key into {file}")
    write_secret(file, "sk-ant-oat-x")
    assert trouble_of(account) is None
    file.chmod(0o644)
    assert "sk-ant" not in (trouble_of(account) or "")
    assert trouble_of(account) is not None


@pytest.mark.parametrize(
    ("backend", "status", "said", "expected"),
    [
        ("codex", 0, "Logged in using ChatGPT", True),
        ("codex", 1, "", False),
        ("opencode", 0, "└  0 credentials", False),
        ("opencode", 0, "●  Anthropic oauth\n└  1 credentials", True),
    ],
)
def test_what_the_programs_answer_is_read(backend: str, status: int, said: str, *, expected: bool) -> None:
    """Ours: as the real ones said it."""
    assert is_logged_in(backend, status, said) is expected


def test_the_doctor_names_each_account_with_its_remedy(
    config: Path, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 4.2: before the first turn."""
    environment = program(tmp_path / "bin", "claude", "echo '{\"loggedIn\": false}'")
    monkeypatch.setenv("PATH", environment["PATH"])
    verdicts = {verdict.check: verdict for verdict in doctor.checks(home, config)}
    assert {check: verdict.level for check, verdict in verdicts.items()} == dict.fromkeys(
        ("account default", "account max", "account team"), "error"
    )
    assert verdicts["account max"].mend == "queenpost login max"
    write_secret(home.secrets / "team", "sk-ant-api-x")
    assert {verdict.check: verdict.level for verdict in doctor.checks(home, config)}["account team"] == "ok"


def test_a_fleet_without_such_agents_says_nothing(home: Home, tmp_path: Path) -> None:
    """Ours."""
    path = tmp_path / "queenpost.toml"
    path.write_text('[agents.emil]\nbackend = "command"\ncommand = ["true"]\n')
    assert list(doctor.checks(home, path)) == []
    assert list(doctor.checks(home, None)) == []
