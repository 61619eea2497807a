"""Faults at single system calls, by `strace` injection: a kill, a disk that fails, a disk that is full."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "openat", "unlink")
"""What changes the store's files, and what opens and removes them."""
FAULTS = {"kill": "signal=SIGKILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
RUN_S = 60


@dataclass(frozen=True)
class Point:
    """The `when`-th use of a call on one of the store's files, and what befalls it."""

    call: str
    when: int
    fault: str


@dataclass(frozen=True)
class Ran:
    """What became of a run of the script."""

    code: int
    lines: list[dict[str, Any]]
    errors: str


def strace() -> str | None:
    """Find the program; None where it is missing or may not trace."""
    found = shutil.which("strace")
    if found is None:
        return None
    tried = subprocess.run([found, "-o", "/dev/null", "true"], capture_output=True, check=False, timeout=RUN_S)
    return found if tried.returncode == 0 else None


def count(program: str, folder: Path) -> dict[str, int]:
    """Run the script unharmed and count its calls."""
    trace = folder.parent / f"{folder.name}.trace"
    ran = _run([program, *_filter(folder), "-o", str(trace)], folder)
    assert ran.code == 0, ran.errors
    lines = trace.read_text("utf-8", errors="replace").splitlines()
    return {call: sum(f" {call}(" in f" {line.split(None, 1)[-1]}" for line in lines) for call in CALLS}


def run_with(program: str, folder: Path, point: Point) -> Ran:
    """Run the script with one fault."""
    inject = f"inject={point.call}:{FAULTS[point.fault]}:when={point.when}"
    return _run([program, *_filter(folder), "-e", inject, "-o", "/dev/null"], folder)


def _filter(folder: Path) -> list[str]:
    files = [folder / f"broker.db{end}" for end in ("", "-wal", "-shm", "-journal")]
    return ["-f", "-qq", "-e", f"trace={','.join(CALLS)}", *(word for path in files for word in ("-P", str(path)))]


def _run(tracer: list[str], folder: Path) -> Ran:
    command = [*tracer, sys.executable, "-P", "-m", "tests.torture.script", str(folder)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False, timeout=RUN_S)
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.endswith(b"}")]
    return Ran(ran.returncode, lines, ran.stderr.decode(errors="replace")[-2000:])
