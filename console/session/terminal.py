"""The user's terminal while a program has it: started in it, stopped and continued with it, left as it was.

Keys and Ctrl-C go to the program; we are beside it only to know when it ends.
"""

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from wire.errors import Unavailable

PASSED_ON = (signal.SIGTERM, signal.SIGHUP)
"""What somebody tells us to end with. Ctrl-C and Ctrl-\\ the terminal sends to the program too."""

CALM = "\x1b[0m\x1b[?25h\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?1047l\x1b[<u\x1b[>4m"
"""Undoes what a program that was killed could not: colours, a hidden cursor, reports of mouse, paste and focus, the
other screen, keys in another alphabet."""


def has_terminal() -> bool:
    """Say whether there is somebody who reads and types."""
    return all(os.isatty(descriptor) for descriptor in (0, 1))


async def run_in_terminal(command: Sequence[str], environment: Mapping[str, str], keeping: Sequence[int] = ()) -> int:
    """Run a program in this terminal until it ends; gives its exit code, 128 and more for a signal, as a shell does.

    The terminal is as before when this returns. `keeping`: descriptors that it has too.

    Raises:
        Unavailable: it cannot be started.
    """
    sys.stdout.flush()  # what was said before stands before what the program says
    status = 0
    with _as_it_was():
        async with anyio.create_task_group() as group:
            process = await group.start(_pass_signals_on, command, environment, keeping)
            status = await _ended(process.pid)
            # Reaped by its number: whoever asks this object must not wait for it again.
            process.returncode = os.waitstatus_to_exitcode(status)
            group.cancel_scope.cancel()
    if os.WIFSIGNALED(status):
        _calm_down()
        return 128 + os.WTERMSIG(status)
    return os.WEXITSTATUS(status)


async def _pass_signals_on(
    command: Sequence[str],
    environment: Mapping[str, str],
    keeping: Sequence[int],
    *,
    task_status: TaskStatus[subprocess.Popen[bytes]],
) -> None:
    """Start the program, behind the handlers: from its first instant Ctrl-C is its business and not ours."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGQUIT, *PASSED_ON) as signals:
        try:
            process = subprocess.Popen(  # noqa: ASYNC220  # it waits for nothing
                command, env=dict(environment), pass_fds=keeping
            )
        except OSError as exc:
            raise Unavailable(f"{command[0]} cannot be started: {exc.strerror or exc}") from exc
        task_status.started(process)
        async for number in signals:
            if number in PASSED_ON:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)


async def _ended(pid: int) -> int:
    """Wait for the end of a child; gives its status. Where the user stops it (Ctrl-Z), we stop too, for the shell."""
    while True:
        _, status = await anyio.to_thread.run_sync(os.waitpid, pid, os.WUNTRACED, abandon_on_cancel=True)
        if not os.WIFSTOPPED(status):
            return status
        os.kill(os.getpid(), signal.SIGSTOP)
        with suppress(ProcessLookupError):  # `fg` has told it already, unless somebody told only us
            os.kill(pid, signal.SIGCONT)


@contextmanager
def _as_it_was() -> Generator[None]:
    """Give the terminal back the modes that it had."""
    modes = termios.tcgetattr(0)
    try:
        yield
    finally:
        # Not in the foreground any more, the system would stop us for it.
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(0, termios.TCSADRAIN, modes)
        signal.signal(signal.SIGTTOU, before)


def _calm_down() -> None:
    with suppress(OSError):
        os.write(1, CALM.encode())
