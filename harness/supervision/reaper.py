"""Programs that a former harness of this home left behind: ended before anything is attached.

They would go on working on mail that comes again. A harness that still lives keeps its own.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from harness.backends.process import signal_group
from harness.processes import group_of, identity
from harness.turn_file import TurnFile, read
from wire.home import Home
from wire.logs import get_logger

log = get_logger("harness")


def reap(home: Home) -> list[int]:
    """Kill the process groups that nobody watches over any more; give their leaders."""
    reaped: list[int] = []
    agents = home.root / "agents"
    for path in sorted([*agents.glob("*/harness/turn.json"), *agents.glob("*/harness/*/turn.json")]):
        note = read(path)
        if note is not None and _is_watched(note):
            continue
        if note is not None and _still_runs(note):
            log.warning("leftover_killed", agent=note.agent, turn=note.turn, pid=note.pid)
            signal_group(note.pid, signal.SIGKILL)
            reaped.append(note.pid)
        path.unlink(missing_ok=True)
    return reaped


def _is_watched(note: TurnFile) -> bool:
    return note.harness is not None and note.harness_pid != os.getpid() and identity(note.harness_pid) == note.harness


def _still_runs(note: TurnFile) -> bool:
    """Say whether the group is the one that was noted, not another one that got its number since."""
    if note.process is None or note.pid <= 1:
        return False
    if identity(note.pid) == note.process:
        return group_of(note.pid) == note.pid
    return any(_is_orphan(pid, note) for pid in _members(note.pid))


def _is_orphan(pid: int, note: TurnFile) -> bool:
    """Say whether a process without its leader is of the noted group: same boot, started later."""
    boot, _, started = (note.process or "").rpartition("/")
    own_boot, _, own_started = (identity(pid) or "").rpartition("/")
    return boot != "" and boot == own_boot and started.isdigit() and int(own_started) >= int(started)


def _members(leader: int) -> Iterator[int]:
    """List the processes of a group whose leader is gone; nothing where there is no /proc."""
    if group_of(leader) is not None:
        return  # the number belongs to somebody else by now
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if group_of(pid) == leader:
            yield pid
