"""Processes by identity."""

import os
import signal
import subprocess
import sys

from harness import processes as harness_processes
from wire.processes import Process, identity, kill_group

WAIT = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def test_an_identity_is_the_same_while_the_process_runs_and_none_after() -> None:
    """Ours: also while it is a zombie."""
    with subprocess.Popen(WAIT, stdin=subprocess.PIPE) as child:
        name = identity(child.pid)
        assert name is not None
        assert name == identity(child.pid) != identity(os.getpid())
        assert Process(child.pid, name).kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert identity(child.pid) is None
        assert not Process(child.pid, name).is_alive()


def test_the_harness_names_processes_in_the_same_way() -> None:
    """Ours: what it notes of an agent's program is compared with what we see."""
    assert identity(os.getpid()) == harness_processes.identity(os.getpid())


def test_a_reused_pid_is_left_alone() -> None:
    """Ours: another process under the same number is not the one that was meant."""
    with subprocess.Popen(WAIT, stdin=subprocess.PIPE) as child:
        stranger = Process(child.pid, "somebody/else/1")
        assert not stranger.kill()
        assert not stranger.kill_group()
        assert child.poll() is None


def test_a_group_is_killed_whole() -> None:
    """STYLE 22."""
    with subprocess.Popen(WAIT, stdin=subprocess.PIPE, start_new_session=True) as child:
        name = identity(child.pid)
        assert name is not None
        assert Process(child.pid, name).kill_group(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert not kill_group(child.pid)
