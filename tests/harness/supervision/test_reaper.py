"""Clearing up after a harness that was killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from harness.processes import identity
from harness.supervision.reaper import reap
from harness.turn_file import TurnFile, write
from harness.workspace import Workspace
from wire.home import Home

WAITS = "import signal; print('on', flush=True); signal.pause()"
LEAVES_A_CHILD = """
import os, sys
if os.fork() == 0:
    print("on", flush=True)
    __import__("signal").pause()
sys.exit(0)
"""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@contextmanager
def program(code: str = WAITS) -> Generator[subprocess.Popen[bytes]]:
    """Run a program in a group of its own, until the end of the test."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout
    process.stdout.readline()
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def note_of(pid: int, **fields: object) -> TurnFile:
    """The turn file that a harness which is gone left behind."""
    note = TurnFile("alice", "t1", ["m1"], pid, identity(pid), 0, 2**22 + 1, "of a harness that is gone")
    return replace(note, **fields)


def left_behind(home: Home, note: TurnFile) -> Workspace:
    """Write it where a harness would."""
    workspace = Workspace(home, "alice")
    workspace.make()
    write(workspace.turn_file, note)
    return workspace


def test_a_program_without_its_harness_is_killed(home: Home) -> None:
    """Ours: it would go on working on mail that comes again."""
    with program() as process:
        workspace = left_behind(home, note_of(process.pid))
        assert reap(home) == [process.pid]
        assert process.wait(10) == -signal.SIGKILL
        assert not workspace.turn_file.exists()


@linux_only
def test_so_are_the_children_it_left(home: Home) -> None:
    """Ours: the leader is gone, its group is not."""
    with program(LEAVES_A_CHILD) as process:
        note = note_of(process.pid)
        process.wait(10)
        left_behind(home, note)
        assert reap(home) == [process.pid]
        assert process.communicate(timeout=10) == (b"", None)  # the pipe was its child's


def test_another_process_of_the_same_number_is_left_alone(home: Home) -> None:
    """Ours: a pid is given to others in time."""
    with program() as process:
        left_behind(home, note_of(process.pid, process="boot/namespace/1"))
        assert reap(home) == []
        assert process.poll() is None


def test_a_program_that_is_watched_over_is_left_alone(home: Home) -> None:
    """Ours: another harness of this home serves other agents."""
    with program() as harness, program() as process:
        note = note_of(process.pid, harness_pid=harness.pid, harness=identity(harness.pid))
        workspace = left_behind(home, note)
        assert reap(home) == []
        assert process.poll() is None
        assert workspace.turn_file.exists()


@pytest.mark.parametrize("pid", [-1, 0, 1])
def test_a_broken_note_kills_nobody(home: Home, pid: int) -> None:
    """Ours: least of all everybody."""
    left_behind(home, replace(note_of(os.getpid()), pid=pid))
    assert reap(home) == []


def test_garbage_is_cleared_away(home: Home) -> None:
    """Ours: half a file is no reason not to start."""
    workspace = Workspace(home, "alice")
    workspace.make()
    workspace.turn_file.write_text('{"pid":')
    assert reap(home) == []
    assert not workspace.turn_file.exists()
