"""The Claude backend: one process over many turns, resumed by its session id when it has to be started again."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio

from harness.backends.asking import ask_version
from harness.backends.claude import launch, outcomes, shapes
from harness.backends.claude.asking import Prompts, answer_of, refusal, reply
from harness.backends.claude.memory import Memory
from harness.backends.claude.turn import ClaudeTurn
from harness.backends.command import judge as judge_exit
from harness.backends.overflow import Overflow
from harness.backends.process import Launch
from harness.backends.protocol import Ended, NotStartedError, Output, Permitted, Probe, RunningTurn, TurnRequest
from harness.backends.resident import Listener, Program, Resident
from harness.backends.seat import Seat
from wire.logs import get_logger

OLDEST = (2, 1)
"""The stream of older ones was not looked at."""
WORDS_BYTES = 4000

log = get_logger("harness")


class ClaudeBackend(Listener):
    """See `harness.backends.protocol.Backend`."""

    resident = False

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.remembers = False
        """A session goes on, and nothing was forgotten of it since its model was told who it is."""
        self._resident = Resident(self, seat.place)
        self._memory = Memory(seat)
        self._overflow = Overflow(self._memory)
        self._turn: ClaudeTurn | None = None
        self._prompts: Prompts | None = None
        self._resumed = False
        self._problem: str | None = None
        """Why the program could not be run when it was looked at last."""
        self._shrunk = False
        """The history became a summary in this turn."""
        self._introduced = False
        """This process has said what it is."""
        self._words = b""
        """The end of what it wrote to stderr."""

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
            launch.refuse_bypass(self.seat, environment)
            self.seat.servers(environment)
        except NotStartedError as exc:
            return Probe(None, exc.reason)
        argv = [*launch.program_of(self.seat), "--version"]
        return await ask_version(Launch(argv, self.seat.cwd, environment, "", judge_exit, self.seat.grace_s), OLDEST)

    @asynccontextmanager
    async def run(self, request: TurnRequest) -> AsyncGenerator[RunningTurn]:
        """See `Backend.run`. The process stays behind a completed turn only; the session stays behind each."""
        program = self._resident.program or await self._start()
        turn = self._turn = ClaudeTurn(program.child.pid, program.say, self._memory.cost_of)
        self._prompts = Prompts(self._resident.tasks, program.say, request.permit, self._memory)
        self._shrunk = False
        try:
            if not self._begin(turn, request.prompt or ""):
                await turn.end(Ended("crashed", "it reads no more"))
            yield turn
        finally:
            self._prompts.close()
            self._turn = self._prompts = None
            turn.close()
            self.remembers = turn.clean and not self._shrunk
            self._overflow.ended(turn.outcome)
            if not turn.clean or not self.seat.settings.warm:
                with anyio.CancelScope(shield=True):
                    await self._resident.end()

    def _begin(self, turn: ClaudeTurn, prompt: str) -> bool:
        """Put the prompt, behind its compaction where the history is too long; False where the program is gone."""
        if not self._overflow.is_due:
            return turn.begin(prompt)
        self._overflow.ask()
        return turn.compact(prompt)

    async def _start(self) -> Program:
        """Start the process, with the session of the time before where there is one."""
        if self._problem is not None and (probe := await self.probe()).problem is not None:
            raise NotStartedError("missing_program", probe.problem)
        environment = launch.environment_of(self.seat)
        launch.find(self.seat, environment)
        launch.refuse_bypass(self.seat, environment)
        self._memory.recall()
        self._overflow.recall()
        self._resumed, self._introduced, self._words = self._memory.kept, False, b""
        servers = launch.write_servers(self.seat)
        argv = launch.argv_of(self.seat, self._memory.id, servers, resume=self._resumed)
        return await self._resident.start(Launch(argv, self.seat.cwd, environment, None, judge_exit, self.seat.grace_s))

    # --- what the process says ----------------------------------------------------------------------

    async def output(self, output: Output) -> None:
        """See `Listener`."""
        if output.stream == "stderr":
            self._words = (self._words + output.data)[-WORDS_BYTES:]
        elif shapes.confirms(output.data):
            output = replace(output, alive=False)
        if self._turn is not None:
            await self._turn.output(output)

    async def line(self, program: Program, message: dict[str, Any]) -> None:
        """See `Listener`."""
        match (message.get("type"), message.get("subtype")):
            case ("system", "init"):
                await self._init(message)
            case ("system", "compact_boundary"):
                self._shrunk = True
                self.remembers = False
            case ("control_request", _):
                self._asked(program, str(message.get("request_id")), shapes.object_of(message.get("request")))
            case ("control_cancel_request", _) if self._prompts is not None:
                self._prompts.withdraw(str(message.get("request_id")))
            case ("result", _):
                await self._result(message)
            case _ if self._turn is not None:
                await self._turn.line(message)
            case _:
                pass

    async def exited(self, program: Program, ended: Ended) -> None:
        """See `Listener`: without a result it was killed, whatever its status says."""
        self.remembers = False
        if self._turn is None:
            log.info("program_ended", reason=ended.reason or "exited with status 0")
            return
        words = self._words.decode(errors="replace").strip()
        if self._resumed and outcomes.lost_session(words):
            self._memory.forget()
            await self._turn.end(Ended("interrupted", "it does not know its session any more; a new one begins"))
            return
        said = f": {words.splitlines()[-1]}" if words else ""
        how = f"was {ended.reason}" if ended.reason.startswith("killed") else ended.reason or "ended"
        await self._turn.end(Ended("crashed", f"it {how} without a result{said}"))

    async def reaped(self) -> None:
        """See `Listener`: the next process resumes the session."""
        self.remembers = False

    async def _init(self, message: dict[str, Any]) -> None:
        """Comes at the beginning of each turn. The session is there from now on, whatever happens next."""
        self._memory.keep(str(message.get("session_id") or ""))
        status = shapes.server_status(message, launch.SERVER)
        lacking = shapes.lacking_servers(message, launch.SERVER)
        if not self._introduced:
            self._introduced = True
            log.info(
                "program_ready", version=message.get("claude_code_version"), model=message.get("model"), mcp=status
            )
            for name, why in lacking.items():
                log.warning("mcp_server_missing", server=name, reason=why)
        if status != "connected" and self._turn is not None:
            await self._turn.end(Ended("mcp_missing", f"its MCP server {launch.SERVER} is {status}"))

    def _asked(self, program: Program, request: str, wanted: dict[str, Any]) -> None:
        subtype = str(wanted.get("subtype"))
        if subtype != "can_use_tool":
            program.say(refusal(request, subtype))
        elif self._prompts is None:
            program.say(reply(request, answer_of(Permitted(allow=False, why="no turn is open"), wanted)))
        else:
            self._prompts.ask(request, wanted)

    async def _result(self, message: dict[str, Any]) -> None:
        if self._resumed and outcomes.lost_session(outcomes.words_of(message)):
            return  # the exit follows, and says it
        self._memory.keep(str(message.get("session_id") or ""))
        if self._turn is None:
            return
        if not self._overflow.asking:
            await self._turn.line(message)
        elif self._shrunk:
            self._overflow.shortened()
            self._shrunk = False  # the prompt was written for a model that knows nothing
            if not self._turn.go_on():
                await self._turn.end(Ended("crashed", "it reads no more"))
        else:
            await self._turn.end(self._overflow.failed(outcomes.judge_compaction(message)))
