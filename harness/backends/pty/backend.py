"""The pty backend: an interactive program at its terminal, kept between turns, judged by what its screen shows."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskGroup, TaskStatus

from harness.backends.command import judge as judge_exit
from harness.backends.process import Launch
from harness.backends.protocol import NotStartedError, Permit, Permitted, Probe, RunningTurn, TurnRequest
from harness.backends.pty.program import GoneError, Program
from harness.backends.pty.screen import Screen
from harness.backends.pty.sight import OFFERED, Sight
from harness.backends.pty.terminal import at_terminal
from harness.backends.pty.turn import PtyTurn
from harness.backends.seat import Seat
from harness.backends.tasks import ended_by, task_group
from wire.logs import get_logger
from wire.settings_pty import PtySettings

TERMINAL = "xterm-256color"
"""What programs draw for where the agent's settings name no other; see `screen` for what of it is understood."""

log = get_logger("harness")


class PtyBackend:
    """See `harness.backends.protocol.Backend`."""

    resident = False
    screen: type[Screen] = Screen
    """What the program draws on."""

    def __init__(self, seat: Seat, settings: PtySettings) -> None:
        self.seat = seat
        self.settings = settings
        self.remembers = False
        """The program goes on, and said nothing of having forgotten anything."""
        self._program: Program | None = None
        self._reaped: Program | None = None
        """The one that had to make room; another one is started when it is gone."""
        self._attached = anyio.Event()
        self._allowed: set[str] = set()
        """What somebody allowed for as long as the program lives."""
        self._tasks: TaskGroup | None = None

    # --- the program --------------------------------------------------------------------------------

    async def probe(self) -> Probe:
        """Look for the program on the PATH it will have. It is not started: who knows what it would do."""
        try:
            self._find(self.seat.environment())
        except NotStartedError as exc:
            return Probe(None, exc.reason)
        return Probe(version="unknown")

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """See `Backend.open`."""
        try:
            async with ended_by(self._end) as self._tasks:
                yield
        finally:
            self._tasks = None

    @asynccontextmanager
    async def run(self, request: TurnRequest) -> AsyncGenerator[RunningTurn]:
        """See `Backend.run`. The program stays behind a completed turn only."""
        program = self._program or await self._start()
        decide = partial(self._decide, request.permit)
        file = self.seat.workspace.state / "turn.md"
        turn = PtyTurn(program, self.settings, self.seat.tools, decide, self._attached, file)
        async with task_group() as tasks:
            tasks.start_soon(turn.drive, request.prompt or "")
            try:
                yield turn
            finally:
                turn.close()
                tasks.cancel_scope.cancel()
                self.remembers = turn.clean and not turn.lookout.forgot
                if not turn.clean or not self.seat.settings.warm:
                    with anyio.CancelScope(shield=True):
                        await self._end()

    async def _start(self) -> Program:
        """Start the program; what it was allowed is asked for again."""
        environment = {**self.seat.environment(), "TERM": self.seat.own_environment().get("TERM", TERMINAL)}
        argv = [self._find(environment), *self.seat.settings.command[1:], *self.seat.settings.args]
        if self._tasks is None:
            raise RuntimeError("a program is started within `open`")
        if self._reaped is not None:
            await self._reaped.gone.wait()
        self._attached = self.seat.attached()
        self._allowed.clear()
        launch = Launch(argv, self.seat.cwd, environment, None, judge_exit, self.seat.grace_s)
        started: Program | NotStartedError = await self._tasks.start(self._live, launch)
        if isinstance(started, NotStartedError):
            raise started
        return started

    def _find(self, environment: dict[str, str]) -> str:
        program = self.seat.settings.command[0]
        found = shutil.which(program, path=environment.get("PATH"))
        if found is None and os.access(self.seat.cwd / program, os.X_OK) and (self.seat.cwd / program).is_file():
            found = str(self.seat.cwd / program)
        if found is None:
            raise NotStartedError("missing_program", f"{program!r} was not found; give its full path in `command`")
        return str(Path(found).absolute())

    async def _live(self, launch: Launch, *, task_status: TaskStatus[Program | NotStartedError]) -> None:
        program: Program | None = None
        reap = None
        try:
            with anyio.CancelScope() as scope:
                async with at_terminal(launch, self.settings.columns, self.settings.rows) as terminal:
                    program = Program(terminal, self.screen(self.settings.columns, self.settings.rows), scope)
                    self._program = program
                    reap = partial(self._reap, program)
                    self.seat.place.started(reap)
                    task_status.started(program)
                    await program.serve()
        except NotStartedError as exc:
            task_status.started(exc)
        finally:
            if program is not None:
                self._program, self.remembers = None, False
                if reap is not None:
                    self.seat.place.ended(reap)
                program.close()
                program.gone.set()

    def _reap(self, program: Program) -> None:
        """Make room between turns."""
        self._program, self._reaped = None, program
        program.scope.cancel()

    async def _end(self) -> None:
        """End the program: with the keys for it, else by signals; returns when nothing of it is left."""
        program = self._program
        if program is None:
            return
        if self.settings.quit is not None:
            with anyio.move_on_after(self.seat.grace_s):
                await self._quit(program, self.settings.quit)
        program.scope.cancel()
        await program.gone.wait()

    async def _quit(self, program: Program, keys: str) -> None:
        try:
            await program.type(keys)
        except GoneError:
            return
        await program.terminal.gone_within(self.seat.grace_s)

    # --- what it asks -------------------------------------------------------------------------------

    async def _decide(self, permit: Permit, sight: Sight) -> Permitted:
        """Decide about a permission: the operator is asked once for what was allowed always."""
        if self.seat.settings.permissions == "bypass":
            return Permitted(allow=True)
        permission = sight.permission
        if permission.rule in self._allowed:
            return Permitted(allow=True)
        decided = await permit(permission)
        if decided.allow and decided.always and permission.rule not in (None, OFFERED):
            self._allowed.add(str(permission.rule))
        return decided
