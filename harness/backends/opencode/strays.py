"""Processes that opencode puts out of reach: each command of its shell tool leads a session of its own.

They outlive it, and a signal to its group does not find them. But it tells every one of them which server it is from.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

MARK = "OPENCODE_PID"
"""The program sets it for itself, and with it for whatever it starts."""
ROUNDS = 5
"""One that is ended may have started another one meanwhile."""
PROC = Path("/proc")

GUARD = (
    # The watcher hears from its stdin that whoever started the server is gone; the server itself would not mind.
    'exec 3<&0; { trap "" TERM; cat; '
    f"""for found in $(grep -lsz "^{MARK}=$$\\$" /proc/[0-9]*/environ); do """
    "found=${found#/proc/}; found=${found%/environ}; "
    '[ "$found" = "$$" ] || kill -KILL "$found"; done; '
    "kill -TERM 0; sleep 3; kill -KILL 0; } <&3 >/dev/null 2>&1 & "
    'exec "$@" </dev/null 3<&-'
)
"""For `sh -c`: runs a program in its place, and ends it with all it has started when its stdin ends."""


def end_strays(pid: int) -> int:
    """Kill whatever a server has left behind, and say how many there were. Without /proc none is found."""
    ended = 0
    for _ in range(ROUNDS):
        found = [stray for stray in _marked(f"{MARK}={pid}".encode()) if stray not in (pid, os.getpid())]
        if not found:
            break
        for stray in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(stray, signal.SIGKILL)
                ended += 1
    return ended


def _marked(mark: bytes) -> list[int]:
    found: list[int] = []
    for path in PROC.glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
