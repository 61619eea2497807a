"""A program that has this terminal: started in our own process group, awaited, and ended when we are told to end."""

import signal
import sys
import termios
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from subprocess import Popen, TimeoutExpired

import anyio
from anyio import to_thread

from harness.backends.door import Door
from harness.backends.protocol import NotStartedError

GRACE_S = 5.0
"""Between the wish that it ends and its death; it writes its history."""
ENDING = (signal.SIGTERM, signal.SIGHUP)
KILLED = 128
"""A shell adds the number of a signal to this."""


async def run(door: Door, started: Callable[[int], None]) -> int:
    """Run the program to its end; gives its exit code as a shell would. `started` is told its process.

    Raises:
        NotStartedError: it cannot be started.
    """
    with _terminal_as_it_was(), _interrupts_left_to_it():
        process = _start(door)
        try:
            started(process.pid)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_end_when_told, process)
                await to_thread.run_sync(process.wait, abandon_on_cancel=True)
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(_end, process)
    code = process.wait()
    return KILLED - code if code < 0 else code


def _start(door: Door) -> Popen[bytes]:
    try:
        return Popen(door.argv, cwd=door.cwd, env=dict(door.env))
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise NotStartedError("missing_program", f"{door.argv[0]!r} cannot be started: {why}") from exc


async def _end_when_told(process: Popen[bytes]) -> None:
    with anyio.open_signal_receiver(*ENDING) as signals:
        async for _ in signals:
            await to_thread.run_sync(_end, process)


def _end(process: Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(TimeoutExpired):
            process.wait(GRACE_S)
    if process.poll() is None:
        process.kill()
        process.wait()


@contextmanager
def _terminal_as_it_was() -> Generator[None]:
    """Put the terminal right again: a program that was killed leaves it raw."""
    try:
        before = termios.tcgetattr(sys.stdin)
    except (termios.error, ValueError, OSError):
        before = None
    try:
        yield
    finally:
        if before is not None:
            with suppress(termios.error, OSError):
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextmanager
def _interrupts_left_to_it() -> Generator[None]:
    """Ctrl-C is for who has the terminal. Not ignored, but heard and dropped: what is ignored, a child ignores too."""
    before = {number: signal.signal(number, _drop) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _drop(_number: int, _frame: object) -> None:
    pass
