"""Processes of tests: how those that play others are started, whether one is there, waiting until it is not."""

import os
import sys
from pathlib import Path

import anyio

PATIENCE_S = 15.0


def fake(name: str) -> list[str]:
    """Give the command line of the program in this folder that plays another one."""
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name(f"{name}.py"))]


def alive(pid: int) -> bool:
    """Say whether there is such a process; one that nobody has reaped is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def running(pid: int) -> bool:
    """Say whether a process that is no child of ours runs; that nobody reaps it is not its fault."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:  # reaped; or this system has no /proc
        return alive(pid)


async def gone(pid: int) -> None:
    """Wait until a process that is no child of ours has ended.

    Raises:
        TimeoutError: it goes on.
    """
    with anyio.fail_after(PATIENCE_S):
        while running(pid):  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)
