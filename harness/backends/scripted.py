"""A script of ours as the model: works without any key, for the demo, for tests and for a first look."""

import platform
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from harness.backends.command import judge
from harness.backends.process import Launch, running
from harness.backends.protocol import NotStartedError, Probe, RunningTurn, TurnRequest
from harness.backends.seat import Seat
from harness.scripted.loading import script_problem


class ScriptedBackend:
    """A new process for each turn; see `harness.backends.protocol.Backend`."""

    resident = False
    remembers = False

    def __init__(self, seat: Seat) -> None:
        self.seat = seat

    async def probe(self) -> Probe:
        """Look whether the script is there; it runs on the Python that runs us."""
        return Probe(f"python {platform.python_version()}", script_problem(self._script))

    @property
    def _script(self) -> str:
        return self.seat.settings.script or ""

    def argv(self) -> list[str]:
        """The command line; `-P` keeps the folder it runs in out of the import path."""
        state = str(self.seat.workspace.state)
        return [
            sys.executable,
            "-P",
            "-m",
            "harness.scripted",
            "--state",
            state,
            self._script,
            *self.seat.settings.args,
        ]

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """See `Backend.open`: nothing of it outlives a turn."""
        yield

    @asynccontextmanager
    async def run(self, request: TurnRequest) -> AsyncGenerator[RunningTurn]:
        """See `harness.backends.protocol.Backend.run`."""
        if problem := script_problem(self._script):
            raise NotStartedError("missing_program", problem)
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
