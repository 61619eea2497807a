"""Any program as the model: prompt on stdin, stdout is the transcript, exit status 0 is a finished turn."""

import shutil
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from harness.backends.process import Launch, running
from harness.backends.protocol import Ended, NotStartedError, Probe, RunningTurn, TurnRequest
from harness.backends.seat import Seat


class CommandBackend:
    """A new process for each turn; see `harness.backends.protocol.Backend`."""

    resident = False
    remembers = False

    def __init__(self, seat: Seat) -> None:
        self.seat = seat

    async def probe(self) -> Probe:
        """Look for the program on the PATH it will have."""
        try:
            environment = self.seat.environment()
        except NotStartedError as exc:
            return Probe(None, exc.reason)
        program = self.argv()[0]
        if shutil.which(program, path=environment.get("PATH")) is None and not (self.seat.cwd / program).is_file():
            return Probe(None, f"{program!r} was not found; give its full path in `command`")
        return Probe(version="unknown")

    def argv(self) -> list[str]:
        """The command line. It holds no secret."""
        return [*self.seat.settings.command, *self.seat.settings.args]

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """See `Backend.open`: nothing of it outlives a turn."""
        yield

    @asynccontextmanager
    async def run(self, request: TurnRequest) -> AsyncGenerator[RunningTurn]:
        """See `harness.backends.protocol.Backend.run`."""
        launch = Launch(
            self.argv(),
            self.seat.cwd,
            self.seat.environment(),
            request.prompt or "",
            judge,
            self.seat.grace_s,
        )
        async with running(launch) as child:
            yield child


def judge(status: int) -> Ended:
    """Exit status 0 is a finished turn, anything else a crash."""
    if status == 0:
        return Ended("completed")
    if status > 0:
        return Ended("crashed", f"exited with status {status}")
    return Ended("crashed", f"killed by {_signal_name(-status)}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
