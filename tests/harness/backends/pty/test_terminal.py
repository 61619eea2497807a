"""A program at a pseudo terminal: what becomes of those who read and write when it ends."""

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from harness.backends.command import judge
from harness.backends.process import Launch
from harness.backends.pty.terminal import at_terminal

pytestmark = pytest.mark.anyio

LEAVES_ONE = """
import subprocess, sys, tty
tty.setraw(0)
left = subprocess.Popen(["sleep", "60"], start_new_session=True)
sys.stdout.write(f"left {left.pid}.")
sys.stdout.flush()
left.wait()
"""
"""It reads nothing, and what it starts has the terminal open in a session of its own."""


async def test_who_writes_when_the_terminal_is_given_back_is_told(tmp_path: Path) -> None:
    """Ours: somebody who has it open outside of the session must not let a turn wait for ever."""
    launch = Launch([sys.executable, "-I", "-S", "-c", LEAVES_ONE], tmp_path, dict(os.environ), None, judge, 1.0)
    arrived: list[bool] = []
    said = b""
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            async with at_terminal(launch, 80, 24) as terminal:
                while not said.endswith(b"."):
                    said += await terminal.read()

                async def write() -> None:
                    arrived.append(await terminal.write("x" * 100_000))

                tasks.start_soon(write)
                await anyio.wait_all_tasks_blocked()
                assert not arrived
            os.kill(int(said.split()[-1].rstrip(b".")), signal.SIGKILL)
    assert arrived == [False]
