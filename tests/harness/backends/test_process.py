"""Children: their groups, their floods, and how they are ended."""

import signal

import anyio

from harness.backends.command import CommandBackend
from harness.backends.protocol import Ended, Output, TurnRequest
from harness.transcript import Transcript
from tests.fakes.processes import gone
from tests.harness.backends.conftest import MakeCommand
from tests.harness.backends.playing import first_line, lines, play

LEAVES_A_CHILD = """
import os, sys
child = os.fork()
if child == 0:
    while True:
        signal = __import__("signal").pause()
print(child, flush=True)
{then}
"""

IGNORES_SIGTERM = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("deaf", flush=True)
while True:
    signal.pause()
"""


async def test_children_left_behind_are_ended_with_a_finished_turn(python: MakeCommand) -> None:
    """Ours: a turn leaves nothing running; that the pipe is still held open delays nothing."""
    with anyio.fail_after(10):
        played = await play(python(LEAVES_A_CHILD.format(then="")))
    assert played.ended == Ended("completed")
    await gone(int(played.text()))


async def test_the_whole_group_is_ended_when_the_turn_is(python: MakeCommand) -> None:
    """Ours: a killed agent's tools do not work on."""
    backend = python(LEAVES_A_CHILD.format(then="__import__('signal').pause()"))
    with anyio.fail_after(10):
        async with backend.run(TurnRequest("t1", "")) as program:
            child = int(await first_line(program))
            pid = program.pid
    await gone(child)
    await gone(pid)


async def test_whoever_ignores_sigterm_is_killed(python: MakeCommand) -> None:
    """Ours: two seconds in a fleet, less here."""
    with anyio.fail_after(10):
        async with python(IGNORES_SIGTERM).run(TurnRequest("t1", "")) as program:
            assert await first_line(program) == "deaf"
            pid = program.pid
            await program.interrupt()
    await gone(pid)


async def test_it_is_asked_politely_first(python: MakeCommand) -> None:
    """Ours: a program may clear up on SIGTERM."""
    code = """
import signal, sys
def bye(*_):
    open("bye", "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("ready", flush=True)
signal.pause()
"""
    backend = python(code)
    with anyio.fail_after(10):
        async with backend.run(TurnRequest("t1", "")) as program:
            await first_line(program)
    assert (backend.seat.cwd / "bye").exists()


async def test_an_interrupt_is_what_ctrl_c_would_be(python: MakeCommand) -> None:
    """Ours: to the whole group."""
    code = "import signal\nprint('ready', flush=True)\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nsignal.pause()\n"
    with anyio.fail_after(10):
        async with python(code).run(TurnRequest("t1", "")) as program:
            async for line in lines(program):
                assert line == "ready"
                await program.interrupt()


async def test_a_flood_is_read_and_bounded(python: MakeCommand) -> None:
    """Ours: a program that prints 40 MB is neither blocked nor remembered."""
    backend: CommandBackend = python("import sys\nfor _ in range(640):\n    sys.stdout.write('x' * 65536)\n")
    folder = backend.seat.workspace.transcripts
    with anyio.fail_after(15), Transcript(folder, "t1", cap_bytes=1000) as transcript:
        async with backend.run(TurnRequest("t1", "")) as program:
            async for event in program.events():
                if isinstance(event, Output):
                    transcript.write(event.data)
    assert transcript.seen_bytes == 640 * 65536
    assert (folder / "t1.log").stat().st_size < 1100


async def test_a_prompt_that_nobody_reads_blocks_nothing(python: MakeCommand) -> None:
    """Ours: larger than a pipe holds."""
    with anyio.fail_after(10):
        played = await play(python("print('I know already')"), "x" * 1_000_000)
    assert played.ended == Ended("completed")


async def test_a_long_prompt_arrives_whole(python: MakeCommand) -> None:
    """Ours: beyond the size of a pipe."""
    with anyio.fail_after(10):
        played = await play(python("import sys; print(len(sys.stdin.buffer.read()))"), "ä" * 500_000)
    assert played.text().strip() == "1000000"


async def test_a_signal_that_ended_it_is_named(python: MakeCommand) -> None:
    """Ours: for `explain`."""
    with anyio.fail_after(10):
        played = await play(python("import os; os.kill(os.getpid(), 9)"))
    assert played.ended == Ended("crashed", f"killed by {signal.SIGKILL.name}")
