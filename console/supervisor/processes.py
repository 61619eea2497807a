"""Processes by pid and start time, so that a reused pid is never taken for the one that was meant."""

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """One process, then and now: `started` is opaque, equal only for the same process."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        """Say whether this very process still runs (a zombie does not)."""
        return started_of(self.pid) == self.started

    def kill(self, signal_number: int = signal.SIGKILL) -> bool:
        """Signal this process; False where it is gone."""
        if not self.is_alive():
            return False
        return _quietly(lambda: os.kill(self.pid, signal_number))

    def kill_group(self, signal_number: int = signal.SIGKILL) -> bool:
        """Signal the group that the process leads; False where it is gone."""
        if not self.is_alive():
            return False
        return kill_group(self.pid, signal_number)


def kill_group(pgid: int, signal_number: int = signal.SIGKILL) -> bool:
    """Signal a whole process group; False where nobody is left in it."""
    return _quietly(lambda: os.killpg(pgid, signal_number))


def _quietly(kill: Callable[[], None]) -> bool:
    try:
        kill()
    except (ProcessLookupError, PermissionError):
        # macOS answers EPERM for a group of which only zombies are left.
        return False
    return True


def started_of(pid: int) -> str | None:
    """Give when a process started, in the words of the system; None where it does not run."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in {"Z", "X"} else fields[19]
    return _started_by_ps(pid)


def _started_by_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
