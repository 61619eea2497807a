"""A program that outlives its turns: one at a time, heard in order, gone with whoever opened it."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from harness.backends.command import judge
from harness.backends.process import Launch
from harness.backends.protocol import Ended, NotStartedError, Output
from harness.backends.resident import QUEUED_LINES, Listener, Program, Resident
from tests.fakes.processes import alive

ECHO = """
import json, os, sys
print(json.dumps({"pid": os.getpid()}), flush=True)
for line in sys.stdin:
    said = json.loads(line)
    sys.stderr.write("heard\\n")
    print("not an object")
    print(json.dumps({"heard": said}), flush=True)
    if said.get("die"):
        sys.exit(said["die"])
"""
DEAF = "import signal\nprint('{}', flush=True)\nwhile True: signal.pause()\n"


class Ear(Listener):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.outputs: list[Output] = []
        self.ends: list[Ended] = []
        self._changed = anyio.Event()

    async def output(self, output: Output) -> None:
        """See `Listener`."""
        self.outputs.append(output)

    async def line(self, program: Program, message: dict[str, Any]) -> None:
        """See `Listener`."""
        self.lines.append(message)
        self._change()

    async def exited(self, program: Program, ended: Ended) -> None:
        """See `Listener`."""
        self.ends.append(ended)
        self._change()

    async def until(self, lines: int = 0, ends: int = 0) -> None:
        """Wait until so much was heard."""
        with anyio.fail_after(10):
            while len(self.lines) < lines or len(self.ends) < ends:
                await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@pytest.fixture
def ear() -> Ear:
    """One that has heard nothing."""
    return Ear()


@pytest.fixture
async def resident(ear: Ear) -> AsyncGenerator[Resident]:
    """Nothing runs yet."""
    made = Resident(ear)
    async with made.open():
        yield made


def python(folder: Path, code: str) -> Launch:
    """Launch a piece of Python whose stdin stays open."""
    return Launch([sys.executable, "-I", "-S", "-c", code], folder, {}, None, judge, 0.2)


async def test_it_is_told_and_heard_line_by_line(resident: Resident, ear: Ear, tmp_path: Path) -> None:
    """Ours: in the order in which it spoke; what is no object is output only."""
    program = await resident.start(python(tmp_path, ECHO))
    assert resident.program is program
    assert program.say({"a": "ü" * 100_000})
    assert program.say({"b": 2})
    await ear.until(lines=3)
    assert ear.lines == [{"pid": program.child.pid}, {"heard": {"a": "ü" * 100_000}}, {"heard": {"b": 2}}]
    assert {output.stream for output in ear.outputs} == {"stdout", "stderr"}


async def test_who_reads_nothing_blocks_nobody(resident: Resident, ear: Ear, tmp_path: Path) -> None:
    """Ours: behind so many lines it is told no more; and it is ended all the same."""
    program = await resident.start(python(tmp_path, DEAF))
    await ear.until(lines=1)
    said = [program.say({"x": "y" * 100_000}) for _ in range(QUEUED_LINES + 2)]
    assert said[0] is True
    assert said[-1] is False
    with anyio.fail_after(10):
        await resident.end()
    assert not alive(program.child.pid)
    assert not program.say({})


async def test_its_own_end_is_heard(resident: Resident, ear: Ear, tmp_path: Path) -> None:
    """Ours: with its status; after it nothing can be said, and another one can be started."""
    program = await resident.start(python(tmp_path, ECHO))
    program.say({"die": 3})
    await ear.until(ends=1)
    assert ear.ends == [Ended("crashed", "exited with status 3")]
    assert resident.program is None
    with anyio.fail_after(10):
        await program.gone.wait()
    assert not program.say({})
    assert await resident.start(python(tmp_path, ECHO)) is resident.program


async def test_the_one_before_is_gone_before_the_next_begins(resident: Resident, ear: Ear, tmp_path: Path) -> None:
    """Ours: two of them would write into one session."""
    first = await resident.start(python(tmp_path, ECHO))
    second = await resident.start(python(tmp_path, ECHO))
    assert not alive(first.child.pid)
    assert alive(second.child.pid)
    assert ear.ends == [], "one that we ended has not ended by itself"


async def test_what_is_not_there_is_not_started(resident: Resident, tmp_path: Path) -> None:
    """Ours: said to whoever wanted it; the next one may be."""
    with pytest.raises(NotStartedError, match="cannot be started"):
        await resident.start(Launch(["no-such-program"], tmp_path, {}, None, judge))
    assert resident.program is None
    await resident.start(python(tmp_path, ECHO))


async def test_leaving_ends_it_and_hands_on_what_was_raised(ear: Ear, tmp_path: Path) -> None:
    """Ours: as it was, not in a group."""
    pids: list[int] = []
    resident = Resident(ear)

    async def fail() -> None:
        async with resident.open():
            pids.append((await resident.start(python(tmp_path, ECHO))).child.pid)
            raise ValueError("by the test")

    with pytest.raises(ValueError, match="by the test"):
        await fail()
    assert not alive(pids[0])
    with pytest.raises(RuntimeError, match="within `open`"):
        await resident.start(python(tmp_path, ECHO))
