"""The Gemini backend: one process over many turns, which resumes its session when it has to be started again."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio

from harness.backends.asking import ask_version
from harness.backends.command import judge as judge_exit
from harness.backends.gemini import launch, outcomes
from harness.backends.gemini.asking import Prompts
from harness.backends.gemini.calls import Calls, GoneError, as_object
from harness.backends.gemini.memory import Memory
from harness.backends.gemini.turn import GeminiTurn
from harness.backends.process import Launch
from harness.backends.protocol import Ended, NotStartedError, Output, Probe, RunningTurn, TurnRequest
from harness.backends.resident import Listener, Program, Resident
from harness.backends.seat import Seat
from wire.clock import Clock, SystemClock
from wire.logs import get_logger

OLDEST = (0, 61)
"""The protocol of older ones was not looked at."""
PROTOCOL_VERSION = 1
READY_S = 60.0
"""From the start to a session; half a dozen that start at once on a small machine take 20 s."""
ATTACH_S = 10.0
"""From a session to the first request to our MCP server."""
WORDS_BYTES = 1000
EXIT_S = 2.0
"""How long the exit of a program is awaited that reads no more."""
MAY_COMPRESS_TOKENS = 100_000
"""It makes a long history a summary without a word, by default at half a million tokens. Behind a turn of so many the
model is told again who it is: too often does no harm."""

log = get_logger("harness")


class GeminiBackend(Listener):
    """See `harness.backends.protocol.Backend`."""

    resident = False

    def __init__(self, seat: Seat, clock: Clock | None = None) -> None:
        self.seat = seat
        self.remembers = False
        """A session goes on, and nothing was forgotten of it since its model was told who it is."""
        self._clock = clock or SystemClock()
        self._resident = Resident(self, seat.place)
        self._memory = Memory(seat)
        self._calls: Calls | None = None
        """To the process that runs."""
        self._session: str | None = None
        """The one that is open in it."""
        self._turn: GeminiTurn | None = None
        self._prompts: Prompts | None = None
        self._problem: str | None = None
        """Why the program could not be run when it was looked at last."""
        self._servers: list[dict[str, Any]] = []
        """The agent's own MCP servers."""
        self._words = b""
        """The end of what it wrote to stderr; it holds that back until it ends."""

    def open(self) -> AbstractAsyncContextManager[None]:
        """See `Backend.open`."""
        return self._resident.open()

    async def probe(self) -> Probe:
        """Ask the program for its version, and see whether it will take its settings."""
        found = await self._look()
        self._problem = found.problem
        return found

    async def _look(self) -> Probe:
        try:
            environment = launch.environment_of(self.seat)
            launch.find(self.seat, environment)
            launch.policy_of(self.seat)
            self.seat.servers(environment)
        except NotStartedError as exc:
            return Probe(None, exc.reason)
        argv = [*launch.program_of(self.seat), "--version"]
        return await ask_version(Launch(argv, self.seat.cwd, environment, "", judge_exit, self.seat.grace_s), OLDEST)

    @asynccontextmanager
    async def run(self, request: TurnRequest) -> AsyncGenerator[RunningTurn]:
        """See `Backend.run`. The process stays behind a completed turn only; the session stays behind each."""
        program = self._resident.program or await self._start()
        calls = self._calls = self._calls or Calls(program.say)
        self._prompts = Prompts(self._resident.tasks, calls, request.permit, self._memory)
        turn = self._turn = GeminiTurn(program.child.pid, partial(self._break_off, calls))
        self._resident.tasks.start_soon(self._converse, program, calls, turn, request.prompt or "")
        try:
            yield turn
        finally:
            self._prompts.withdraw()
            self._turn = self._prompts = None
            turn.close()
            if not turn.clean or not self.seat.settings.warm:
                with anyio.CancelScope(shield=True):
                    await self._end()

    async def _start(self) -> Program:
        if self._problem is not None and (probe := await self.probe()).problem is not None:
            raise NotStartedError("missing_program", probe.problem)
        environment = launch.environment_of(self.seat)
        launch.find(self.seat, environment)
        launch.write_settings(self.seat, environment)
        self._servers = launch.further_of(self.seat, environment)
        names = [str(one["name"]) for one in self._servers]
        argv = launch.argv_of(self.seat, launch.write_policies(self.seat, environment), names)
        self._memory.recall()
        self._gone()
        self._words = b""
        return await self._resident.start(Launch(argv, self.seat.cwd, environment, None, judge_exit, self.seat.grace_s))

    async def _end(self) -> None:
        self._gone()
        await self._resident.end()

    def _gone(self) -> None:
        """Nobody has to wait for the process any more, and nothing is open in it."""
        if self._calls is not None:
            self._calls.close()
        self._calls, self._session, self.remembers = None, None, False

    def _break_off(self, calls: Calls) -> None:
        if self._session is not None:
            calls.tell("session/cancel", sessionId=self._session)
        if self._prompts is not None:
            self._prompts.withdraw()

    # --- the conversation ---------------------------------------------------------------------------

    async def _converse(self, program: Program, calls: Calls, turn: GeminiTurn, prompt: str) -> None:
        """Put the prompt, into a session that is opened first in a new process, and wait for the answer."""
        try:
            if self._session is None and (problem := await self._prepare(calls, turn)) is not None:
                await turn.end(problem)
                return
            turn.prompted = True
            text = {"type": "text", "text": prompt}
            answer = await calls.call("session/prompt", sessionId=self._session, prompt=[text])
        except GoneError:
            with anyio.move_on_after(EXIT_S):
                await program.gone.wait()  # `exited` has said how
            await turn.end(Ended("crashed", "it reads no more"))
            return
        usage = outcomes.usage_of(answer, len(turn.tools))
        ended = outcomes.judge(answer, answered=turn.answered, usage=usage, now_ms=self._clock.wall_ms())
        if ended.outcome == "completed" and self._session is not None:
            self._memory.keep(self._session)
            self.remembers = ((usage and usage.input_tokens) or 0) < MAY_COMPRESS_TOKENS
        elif ended.outcome == "context_full":
            self._memory.forget()
        await turn.end(ended)

    async def _prepare(self, calls: Calls, turn: GeminiTurn) -> Ended | None:
        """Shake hands, open a session, and see our MCP server attached; give what is in the way of it."""
        with anyio.move_on_after(READY_S):
            capabilities = {"fs": {"readTextFile": False, "writeTextFile": False}}
            hello = await calls.call("initialize", protocolVersion=PROTOCOL_VERSION, clientCapabilities=capabilities)
            attached = self.seat.attached()
            opened = await self._open_session(calls, turn)
            if "error" in opened:
                return outcomes.judge(opened, answered=False, usage=None, now_ms=self._clock.wall_ms())
            with anyio.move_on_after(ATTACH_S):
                await attached.wait()
            version = as_object(as_object(hello.get("result")).get("agentInfo")).get("version")
            log.info("program_ready", version=version, session=self._session, mcp=attached.is_set())
            if not attached.is_set():
                return Ended("mcp_missing", f"its MCP server {launch.SERVER} did not attach within {ATTACH_S:g} s")
            return None
        return Ended("crashed", f"it was not ready within {READY_S:g} s")

    async def _open_session(self, calls: Calls, turn: GeminiTurn) -> dict[str, Any]:
        """Go on with the session of the time before where the program still has it, else begin one."""
        where = {"cwd": str(self.seat.cwd), "mcpServers": [launch.server_of(self.seat), *self._servers]}
        if (kept := self._memory.id) is not None:
            turn.muted = True
            loaded = await calls.call("session/load", sessionId=kept, **where)
            turn.muted = False
            if "result" in loaded:
                self._session = kept
                return loaded
            log.info("session_lost", session=kept, reason=outcomes.words_of(loaded))
            self._memory.forget()
        opened = await calls.call("session/new", **where)
        self._session = as_object(opened.get("result")).get("sessionId")
        return opened if self._session or "error" in opened else {"error": {"message": "it opened no session"}}

    # --- what the process says ----------------------------------------------------------------------

    async def output(self, output: Output) -> None:
        """See `Listener`."""
        if output.stream == "stderr":
            self._words = (self._words + output.data)[-WORDS_BYTES:]
        if self._turn is not None:
            await self._turn.output(output)

    async def line(self, program: Program, message: dict[str, Any]) -> None:
        """See `Listener`."""
        calls, params = self._calls, as_object(message.get("params"))
        if calls is None:
            return
        match message.get("method"):
            case None:
                calls.answered(message)
            case "session/update" if self._turn is not None:
                await self._turn.update(as_object(params.get("update")))
            case "session/request_permission" if self._turn is not None and self._prompts is not None:
                await self._turn.spoke()
                self._prompts.ask(message.get("id"), params)
            case method if "id" in message:
                calls.refuse(message["id"], str(method))
            case _:
                pass

    async def exited(self, program: Program, ended: Ended) -> None:
        """See `Listener`: without an answer to its prompt it was killed, whatever its status says."""
        self._gone()
        if self._turn is not None:
            words = " ".join(self._words.decode(errors="replace").split())
            why = f"it {ended.reason or 'ended'} without a result"
            await self._turn.end(Ended("crashed", f"{why}: {words}" if words else why))

    async def reaped(self) -> None:
        """See `Listener`: the next process opens the session again."""
        self._gone()
