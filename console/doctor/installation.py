"""Whether the programs that would be started are those of this installation."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import console
from console.doctor.verdict import Verdict

PACKAGES = ("wire", "broker", "harness", "mcp_tools", "prompts", "console", "node")
"""Their names are plain: anything on the path may be called so too (docs/adr/0004)."""
PYTHON_MIN = (3, 11)
DEADLINE_S = 20.0

MOSQUITTO_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where it lies beside PATH."""

_ASK = """
import importlib.util, json, sys
found = {name: importlib.util.find_spec(name) for name in sys.argv[1:]}
print(json.dumps({name: spec.origin if spec else None for name, spec in found.items()}))
"""


def client_version() -> str | None:
    """Give the release of this command; None in a checkout that was never installed."""
    try:
        return version("queenpost")
    except PackageNotFoundError:
        return None


def checks() -> Iterator[Verdict]:
    """Look at interpreter, packages and programs of this machine."""
    yield _python()
    yield _packages(_origins())
    yield _mosquitto(os.environ.get("PATH", ""))


def _python() -> Verdict:
    said = f"{sys.version.split()[0]}, {sys.executable}"
    if sys.version_info < PYTHON_MIN:
        wanted = ".".join(map(str, PYTHON_MIN))
        return Verdict(
            "python", "error", said, f"install queenpost with Python {wanted} or newer: `pipx install queenpost`"
        )
    return Verdict("python", "ok", said)


def _origins() -> dict[str, str | None] | str:
    """Ask an interpreter that is started as our programs are where it would take the packages from."""
    line = [sys.executable, "-P", "-c", _ASK, *PACKAGES]
    try:
        answer = subprocess.run(line, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
        return json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        return f"{sys.executable} cannot be started: {exc}"


def _packages(origins: dict[str, str | None] | str) -> Verdict:
    if isinstance(origins, str):
        return Verdict("packages", "error", origins, "install queenpost anew: `pipx reinstall queenpost`")
    root = Path(console.__file__).resolve().parents[1]
    foreign = {
        name: origin for name, origin in origins.items() if origin is None or Path(origin).resolve().parents[1] != root
    }
    if foreign:
        said = ", ".join(f"{name} comes from {origin or 'nowhere'}" for name, origin in foreign.items())
        hint = "take it off PYTHONPATH, or give queenpost an environment of its own: `pipx install queenpost`"
        return Verdict("packages", "error", f"{said}, not from {root}", hint)
    return Verdict("packages", "ok", f"queenpost {client_version() or 'from a checkout'}, all of it in {root}")


def _mosquitto(path: str) -> Verdict:
    found = shutil.which("mosquitto", path=os.pathsep.join([path, *MOSQUITTO_FOLDERS]))
    if found is None:
        return Verdict("mosquitto", "note", "not installed; only the events of jobs want an MQTT broker")
    return Verdict("mosquitto", "ok", found)
