"""The opencode backend: one server over many turns, whose session is found again when it has to be started anew.

`warm = false` ends the server behind each turn. `opencode run` is not used for that: it takes no longer to start a
server than to start it, and it rejects what it should ask, is silent while it retries, and names no MCP server.
"""

import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import httpx2
from anyio import to_thread
from anyio.abc import TaskStatus

from harness.backends.asking import ask_version
from harness.backends.command import judge as judge_exit
from harness.backends.opencode import launch
from harness.backends.opencode.asking import Prompts
from harness.backends.opencode.memory import Memory
from harness.backends.opencode.outcomes import judge_error
from harness.backends.opencode.rules import SERVER, rules_for
from harness.backends.opencode.server import RefusedError, Server, reach
from harness.backends.opencode.shapes import object_of
from harness.backends.opencode.strays import end_strays
from harness.backends.opencode.turn import OpencodeTurn
from harness.backends.overflow import Overflow
from harness.backends.process import Launch
from harness.backends.protocol import Ended, NotStartedError, Output, Probe, RunningTurn, TurnRequest
from harness.backends.resident import Listener, Program, Resident
from harness.backends.seat import Seat
from wire.clock import Clock, SystemClock
from wire.logs import get_logger

OLDEST = (1, 18)
"""The API of older ones was not looked at."""
LISTENING_S = 60.0
GONE_S = 1.0
STOP_S = 5.0
WORDS_BYTES = 4000
LISTENING = re.compile(rb"listening on (http://127\.0\.0\.1:\d+)")

log = get_logger("harness")


class OpencodeBackend(Listener):
    """See `harness.backends.protocol.Backend`."""

    resident = False

    def __init__(self, seat: Seat, clock: Clock | None = None) -> None:
        self.seat = seat
        self.remembers = False
        """A session goes on, and nothing was forgotten of it since its model was told who it is."""
        self._clock = clock or SystemClock()
        self._resident = Resident(self, seat.place)
        self._memory = Memory(seat)
        self._overflow = Overflow(self._memory)
        self._pid: int | None = None
        self._password = ""
        self._url = ""
        self._listening = anyio.Event()
        self._server: Server | None = None
        self._session: str | None = None
        """The session that this server has in hand."""
        self._turn: OpencodeTurn | None = None
        self._prompts: Prompts | None = None
        self._counted: frozenset[str] = frozenset()
        """Answers of the turn before."""
        self._said: dict[str, bytes] = {}
        """The end of what it wrote, by stream."""

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """See `Backend.open`."""
        try:
            async with self._resident.open():
                yield
        finally:
            await self._clear()

    async def probe(self) -> Probe:
        """Ask the program for its version, and see whether it will take its settings."""
        try:
            environment = launch.environment_of(self.seat, "")
            launch.find(self.seat, environment)
        except NotStartedError as exc:
            return Probe(None, exc.reason)
        argv = [*launch.program_of(self.seat), "--version"]
        return await ask_version(Launch(argv, self.seat.cwd, environment, "", judge_exit, self.seat.grace_s), OLDEST)

    @asynccontextmanager
    async def run(self, request: TurnRequest) -> AsyncGenerator[RunningTurn]:
        """See `Backend.run`. The server stays behind a completed turn only; the session stays behind each."""
        program = self._resident.program or await self._start()
        turn = self._turn = OpencodeTurn(
            program.child.pid,
            self._resident.tasks,
            now_ms=self._clock.wall_ms,
            secret=self._password,
            earlier=self._counted,
        )
        prompts = self._prompts = Prompts(self._resident.tasks, request.permit, self._memory)
        scope = anyio.CancelScope()
        self._resident.tasks.start_soon(self._play, program, turn, request.prompt or "", scope)
        try:
            yield turn
        finally:
            scope.cancel()
            prompts.close()
            turn.close()
            self._turn = self._prompts = None
            await self._leave(turn)

    async def _leave(self, turn: OpencodeTurn) -> None:
        self._counted = frozenset(turn.answers)
        self.remembers = turn.clean and not turn.shrunk
        self._overflow.ended(turn.outcome)
        if not turn.clean or not self.seat.settings.warm:
            with anyio.CancelScope(shield=True):
                await self._resident.end()
            await self._clear()

    async def _clear(self) -> None:
        """End what the last server has left behind."""
        pid, self._pid = self._pid, None
        if pid is not None:
            with anyio.CancelScope(shield=True):
                if ended := await to_thread.run_sync(end_strays, pid):
                    log.info("strays_ended", count=ended)

    # --- from the start of the program to the end of a turn -----------------------------------------

    async def _start(self) -> Program:
        self._password = secrets.token_urlsafe(32)
        environment = launch.environment_of(self.seat, self._password)
        launch.find(self.seat, environment)
        if (folder := self.seat.login().folder) is not None:
            launch.furnish(folder)
        self._url, self._listening, self._server, self._session = "", anyio.Event(), None, None
        self._said = {"stdout": b"", "stderr": b""}
        argv = launch.argv_of(self.seat)
        start = Launch(argv, self.seat.cwd, environment, None, judge_exit, self.seat.grace_s)
        program = await self._resident.start(start)
        self._pid = program.child.pid
        return program

    async def _play(self, program: Program, turn: OpencodeTurn, prompt: str, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                server = await self._reached(program)
                status = await server.tools_status()
                if status != "connected":
                    await turn.end(Ended("mcp_missing", f"its MCP server {SERVER} is {status}"))
                    return
                session = turn.session = await self._session_of(server)
                turn.stop = partial(_stop, server, session)
                model = launch.model_of(self.seat) or await server.default_model()
                if self._overflow.is_due and not await self._shorten(turn, partial(server.compact, session, model)):
                    return
                await turn.play(partial(server.prompt, session, model=model), prompt)
            except NotStartedError as exc:
                await turn.end(Ended(exc.outcome, exc.reason))
            except RefusedError as exc:
                await turn.end(judge_error(exc.error or {"data": {"message": str(exc)}}))
            except httpx2.HTTPError as exc:
                with anyio.move_on_after(GONE_S):  # its exit says more
                    await program.gone.wait()
                await turn.end(Ended("crashed", f"it does not answer: {str(exc) or type(exc).__name__}"))

    async def _shorten(self, turn: OpencodeTurn, compact: Callable[[], Awaitable[None]]) -> bool:
        """Have a history that is too long made shorter; False where the turn has ended with that."""
        self._overflow.ask()
        failure = await turn.compact(compact)
        if failure is None:
            self._overflow.shortened()
        else:
            await turn.end(self._overflow.failed(failure))
        return failure is None

    async def _reached(self, program: Program) -> Server:
        """Wait until the server can be spoken to, and hear it from then on."""
        with anyio.move_on_after(LISTENING_S):
            await self._listening.wait()
        if not self._url:
            raise NotStartedError("crashed", f"it did not say within {LISTENING_S:g} s where it listens")
        server = self._server
        if server is None:
            server = self._server = await self._resident.tasks.start(self._hear, program)
        return server

    async def _session_of(self, server: Server) -> str:
        """Give the session of this server; the first turn looks for the one of the time before."""
        if self._session is None:
            settings = self.seat.settings
            rules = rules_for(settings.permissions, settings.allowed_tools)
            self._memory.recall()
            self._overflow.recall()
            kept = self._memory.recall()
            if kept is not None and not await server.resume(kept, rules):
                log.warning("session_lost", session=kept)
                self._memory.forget()
                kept = None
            self._session = kept or await server.begin(f"Queenpost: {self.seat.workspace.agent}", rules)
        self._memory.keep(self._session)
        return self._session

    # --- what the program says ----------------------------------------------------------------------

    async def output(self, output: Output) -> None:
        """See `Listener`."""
        said = self._said[output.stream] = (self._said[output.stream] + output.data)[-WORDS_BYTES:]
        if not self._url and (found := LISTENING.search(said)) is not None:
            self._url = found[1].decode()
            self._listening.set()
        if self._turn is not None:
            await self._turn.output(output)

    async def exited(self, program: Program, ended: Ended) -> None:
        """See `Listener`: without an answer it was killed, whatever its status says."""
        self.remembers = False
        if self._turn is None:
            log.info("program_ended", reason=ended.reason or "exited with status 0")
            return
        words = self._said["stderr"].decode(errors="replace").strip()
        said = f": {words.splitlines()[-1]}" if words else ""
        reason = f"{ended.reason or 'exited with status 0'} without an answer{said}"
        await self._turn.end(Ended("crashed", reason, self._turn.usage()))

    async def reaped(self) -> None:
        """See `Listener`: the next server finds the session again."""
        self.remembers = False
        await self._clear()

    async def _hear(self, program: Program, *, task_status: TaskStatus[Server]) -> None:
        """Hear the events of one server. Without them no prompt would be seen: then it is ended."""
        started = False
        try:
            async with reach(self._url, self._password) as server, server.events() as events:
                task_status.started(server)
                started = True
                log.info("program_ready", url=self._url)
                async for event in events:
                    await self._event(server, event)
        except (RefusedError, httpx2.HTTPError) as exc:
            if not started:
                raise
            log.info("events_ended", reason=str(exc))
        with anyio.move_on_after(GONE_S):
            await program.gone.wait()
        if self._turn is not None and self._resident.program is program:
            await self._turn.end(Ended("crashed", "its stream of events broke off"))
        program.scope.cancel()

    async def _event(self, server: Server, event: dict[str, Any]) -> None:
        if self._turn is None or self._prompts is None:
            return
        said = object_of(event.get("properties"))
        match event.get("type"):
            case "permission.asked":
                self._prompts.ask(server, said, self._turn.arguments_of(said))
            case "permission.replied":
                self._prompts.withdraw(str(said.get("requestID")))
            case _:
                pass
        await self._turn.event(event)


async def _stop(server: Server, session: str) -> None:
    try:
        with anyio.move_on_after(STOP_S):
            await server.abort(session)
    except (RefusedError, httpx2.HTTPError) as exc:
        log.warning("turn_not_stopped", reason=str(exc))
