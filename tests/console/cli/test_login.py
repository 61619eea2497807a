"""login: the program's own command, in the folder of the account."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.console.conftest import Home

FILE = """
[accounts.team]
token_file = "secrets/team"
[accounts.max]
auth = "own"
[agents.alice]
backend = "claude"
account = "max"
[agents.bob]
backend = "claude"
account = "team"
"""


def login(home: Home, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Type the command, with a program on PATH that says how it was called."""
    config = folder / "queenpost.toml"
    config.write_text(FILE)
    (folder / "claude").write_text('#!/bin/sh\necho "dir=$CLAUDE_CONFIG_DIR args=$*"\n')
    (folder / "claude").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("CLAUDE_CONFIG_DIR", None)
    command = [
        sys.executable,
        "-P",
        "-c",
        "from console.cli import main; main()",
        "--home",
        str(home.root),
        "--config",
        str(config),
        "login",
    ]
    return subprocess.run([*command, *words], env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_program_logs_in_where_the_agents_of_the_account_look(home: Home, tmp_path: Path) -> None:
    """Issue 4.2: an account of its own; the folder is made for its owner only."""
    done = login(home, tmp_path, "max")
    folder = home.accounts / "max" / "claude"
    assert done.stdout == f"dir={folder} args=auth login\n"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_users_own_login_is_made_where_it_always_was(home: Home, tmp_path: Path) -> None:
    """Issue 4.2: `inherit`."""
    assert login(home, tmp_path, "default", "--backend", "claude").stdout == "dir= args=auth login\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("team",), "account team uses a token: put `claude setup-token`, or an API key into"),
        (("nobody",), "declares no account 'nobody'"),
        (("max", "--backend", "codex"), "'codex' is not on your PATH"),
    ],
)
def test_what_cannot_be_logged_in_says_what_to_do(
    home: Home, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """Bad input: exit code 1, one sentence."""
    done = login(home, tmp_path, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stdout == ""
