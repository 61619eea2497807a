"""Processes by pid and start time, so that a reused pid is never taken for the one that was meant."""

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """One process, then and now: equal only to itself, also after its pid was given to another one."""

    pid: int
    name: str
    """Its `identity`."""

    def is_alive(self) -> bool:
        """Say whether this very process still runs (a zombie does not)."""
        return identity(self.pid) == self.name

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


def identity(pid: int) -> str | None:
    """Name a running process so that no other one, at any time, has the same name; None if it does not run.

    On Linux: boot, pid namespace and start in clock ticks. Elsewhere what `ps` says of its start. The harness
    notes the programs of its agents in the same form.
    """
    if not Path("/proc/self/stat").exists():
        return _from_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The name before the last bracket may hold anything, spaces too.
        fields = stat.rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except (OSError, IndexError):
        return None
    return None if fields[0] in {"Z", "X"} else f"{boot}/{namespace}/{fields[19]}"


def _from_ps(pid: int) -> str | None:
    command = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return None if state.startswith("Z") else started.strip() or None
