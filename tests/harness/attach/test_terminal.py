"""A program that has a terminal; without one, as tests are."""

import os
import sys
from pathlib import Path

import anyio
import pytest

from harness.attach import terminal
from harness.backends.door import Door
from harness.backends.protocol import NotStartedError


def door(tmp_path: Path, *words: str) -> Door:
    """Start a program here."""
    return Door(list(words), tmp_path, dict(os.environ))


async def test_its_exit_code_is_that_of_the_program(tmp_path: Path) -> None:
    """Issue 4.9: as a shell gives it, also of one that was killed."""
    with anyio.fail_after(15):
        assert await terminal.run(door(tmp_path, sys.executable, "-c", "exit(3)"), lambda _: None) == 3
        killed = door(tmp_path, sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
        assert await terminal.run(killed, lambda _: None) == 128 + 9


async def test_a_program_that_nobody_could_note_is_ended(tmp_path: Path) -> None:
    """Ours: a full disk must not leave one behind that works in the agent's session."""
    pids: list[int] = []

    def fail(pid: int) -> None:
        pids.append(pid)
        raise OSError("no space left")

    with anyio.fail_after(15), pytest.raises(OSError, match="no space left"):
        await terminal.run(door(tmp_path, sys.executable, "-c", "import time; time.sleep(600)"), fail)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """Ours: by its name."""
    with pytest.raises(NotStartedError, match="'no-such-program' cannot be started: No such file"):
        await terminal.run(door(tmp_path, "no-such-program"), lambda _: None)
