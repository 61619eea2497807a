"""Which process is which: a pid may be given to another process, a pid with its start may not."""

import os
import subprocess
from pathlib import Path

PROC = Path("/proc")
PS_TIMEOUT_S = 5


def identity(pid: int) -> str | None:
    """Name a running process so that no other one, at any time, has the same name; None if it does not run.

    On Linux: boot, pid namespace and start in clock ticks. Elsewhere what `ps` says of its start.
    """
    if not PROC.joinpath("self", "stat").exists():
        return _from_ps(pid)
    try:
        ticks = _stat_fields(pid)[19]
        boot = PROC.joinpath("sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink(PROC / "self" / "ns" / "pid")
    except (OSError, IndexError):
        return None
    return f"{boot}/{namespace}/{ticks}"


def group_of(pid: int) -> int | None:
    """Give the process group of a process; None if it does not run."""
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on: the second, a name, may hold anything, spaces too."""
    return PROC.joinpath(str(pid), "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _from_ps(pid: int) -> str | None:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PS_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
