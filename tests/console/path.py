"""A PATH of a user's own, with fakes of the agent programs on it."""

import os
import sys
from pathlib import Path

from tests.architecture.tree import ROOT

SAYS_YES = "echo '{\"loggedIn\": true}'; exit 0"
SAYS_NO = "echo '{\"loggedIn\": false}'; exit 1"


def only(*folders: Path) -> str:
    """Give a PATH with these folders, and what a system has; no agent program of the machine is on it."""
    return os.pathsep.join([*map(str, folders), "/usr/bin", "/bin"])


def put(folder: Path, name: str, code: str) -> Path:
    """Put a shell script on it."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{code}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def put_claude(folder: Path, login: str = SAYS_YES) -> Path:
    """Put the fake of Claude Code on it, as somebody who is logged in or not."""
    fake = ROOT / "tests" / "fakes" / "claude.py"
    return put(folder, "claude", f'[ "$1" = auth ] && {{ {login}; }}\nexec {sys.executable} {fake} "$@"')
