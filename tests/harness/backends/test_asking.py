"""A short question to a program."""

import sys
from pathlib import Path

import anyio
import pytest

from harness.backends.asking import ANSWER_BYTES, ask, ask_version
from harness.backends.command import judge
from harness.backends.process import Launch
from harness.backends.protocol import Probe


def python(folder: Path, code: str) -> Launch:
    """Launch a piece of Python."""
    return Launch([sys.executable, "-I", "-S", "-c", code], folder, {}, "", judge, 0.1)


@pytest.mark.parametrize(
    ("code", "probe"),
    [
        ("print('thing 2.10.1 (beta)')", Probe("2.10.1")),
        ("print('2.9')", Probe("2.9", "is too old; 2.10 or later is needed")),
        ("print('thing')", Probe(None, "cannot be read from 'thing'")),
        ("import sys; sys.stdout.buffer.write(bytes(range(256)))", Probe(None, "cannot be read from")),
        ("import sys; sys.exit('no licence')", Probe(None, "it exited with status 1 no licence")),
        ("import os; os.kill(os.getpid(), 9)", Probe(None, "it was killed by SIGKILL")),
    ],
)
async def test_a_version_or_what_is_wrong_with_it(tmp_path: Path, code: str, probe: Probe) -> None:
    """[H28] By name, whatever the program says."""
    with anyio.fail_after(10):
        found = await ask_version(python(tmp_path, code), (2, 10))
    assert found.version == probe.version
    assert (probe.problem or "") in (found.problem or "")
    assert bool(found.problem) == bool(probe.problem)


async def test_one_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """Ours: and named."""
    with anyio.fail_after(10):
        found = await ask_version(python(tmp_path, "import signal; signal.pause()"), (1,), within_s=0.2)
    assert found.version is None
    assert "does not say its version within 0.2 s" in (found.problem or "")


async def test_a_flood_is_bounded_and_a_child_that_holds_the_pipe_delays_nothing(tmp_path: Path) -> None:
    """Ours: the first bytes are enough."""
    code = "import os, signal\nif os.fork() == 0: signal.pause()\nfor _ in range(300): print('1.0' + 'x' * 9999)"
    with anyio.fail_after(10):
        answer = await ask(python(tmp_path, code))
    assert answer is not None
    assert len(answer.stdout) == ANSWER_BYTES


async def test_what_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """Ours: as for a turn."""
    found = await ask_version(Launch(["no-such-program"], tmp_path, {}, "", judge), (1,))
    assert "cannot be started" in (found.problem or "")
