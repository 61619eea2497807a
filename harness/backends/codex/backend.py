"""The Codex backend: one app-server over many turns, resumed by its thread id when it has to be started again."""

import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio

from harness.backends.codex import launch, outcomes
from harness.backends.codex.asking import Prompts, Wanted, answer_of, wanted_of
from harness.backends.codex.calls import Calls, GoneError, reply
from harness.backends.codex.greeting import greet
from harness.backends.codex.memory import Memory
from harness.backends.codex.probing import probe
from harness.backends.codex.shapes import COMPACTION, is_alive, object_of, text_of
from harness.backends.codex.turn import CodexTurn
from harness.backends.codex.words import LastWords
from harness.backends.command import judge as judge_exit
from harness.backends.overflow import Overflow
from harness.backends.process import Launch
from harness.backends.protocol import Ended, NotStartedError, Output, Probe, RunningTurn, TurnRequest
from harness.backends.resident import Listener, Program, Resident
from harness.backends.seat import Seat
from wire.logs import get_logger

log = get_logger("harness")


class CodexBackend(Listener):
    """See `harness.backends.protocol.Backend`."""

    resident = False

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.remembers = False
        """A thread goes on, and nothing was forgotten of it since its model was told who it is."""
        self._resident = Resident(self, seat.place)
        self._memory = Memory(seat)
        self._overflow = Overflow(self._memory)
        self._calls = Calls(_unsaid)
        self._turn: CodexTurn | None = None
        self._prompts: Prompts | None = None
        self._items: dict[str, dict[str, Any]] = {}
        """What has begun in this turn, by id."""
        self._limits: dict[str, Any] = {}
        """What it said last of the limits of its account."""
        self._problem: str | None = None
        """Why the program could not be run when it was looked at last."""
        self._shrunk = False
        """The history became a summary in this turn."""
        self._words = LastWords()

    def open(self) -> AbstractAsyncContextManager[None]:
        """See `Backend.open`."""
        return self._resident.open()

    async def probe(self) -> Probe:
        """Ask the program for its version, and see whether its rules can be read."""
        found = await probe(self.seat)
        self._problem = found.problem
        return found

    @asynccontextmanager
    async def run(self, request: TurnRequest) -> AsyncGenerator[RunningTurn]:
        """See `Backend.run`. The process stays behind a completed turn only; the thread stays behind each."""
        program = self._resident.program or await self._start()
        turn = self._turn = CodexTurn(program.child.pid, self._calls, self._memory.id or "")
        self._prompts = Prompts(self._resident.tasks, program.say, request.permit, self._memory, turn)
        self._shrunk = False
        self._items.clear()
        try:
            if self._overflow.is_due:
                self._overflow.ask()
                await turn.compact(request.prompt or "")
            else:
                await turn.begin(request.prompt or "")
            yield turn
        finally:
            self._prompts.close()
            self._turn = self._prompts = None
            turn.close()
            self.remembers = turn.completed and not self._shrunk
            self._overflow.ended(turn.outcome)
            if not turn.completed or not self.seat.settings.warm:
                with anyio.CancelScope(shield=True):
                    await self._resident.end()

    async def _start(self) -> Program:
        """Start the process, with the thread of the time before where there is one."""
        if self._problem is not None and (found := await self.probe()).problem is not None:
            raise NotStartedError("missing_program", found.problem)
        environment = launch.environment_of(self.seat)
        launch.find(self.seat, environment)
        key = launch.key_of(self.seat, environment)
        self._memory.recall()
        self._overflow.recall()
        self._words.clear()
        known = self._memory.id if self.remembers else None
        argv = launch.argv_of(self.seat, environment)
        program = await self._resident.start(
            Launch(argv, self.seat.cwd, environment, None, judge_exit, self.seat.grace_s)
        )
        self._calls = Calls(program.say)
        ready = False
        try:
            thread = await greet(self.seat, self._calls, self._memory, key)
            if known not in (None, thread):  # the prompt was written for a model that knows who it is
                raise NotStartedError("interrupted", "it does not know its thread any more; a new one begins")
            ready = True
        except GoneError:
            words = self._words.all
            outcome = outcomes.by_words(words) or "crashed"
            raise NotStartedError(outcome, f"it ended at once: {outcomes.reason_of(words)}") from None
        finally:
            self.remembers = False
            if not ready:
                with anyio.CancelScope(shield=True):
                    await self._resident.end()
        return program

    # --- what the process says ----------------------------------------------------------------------

    async def output(self, output: Output) -> None:
        """See `Listener`. What is on stdout is handed on line by line: not all of it is a sign of life."""
        if output.stream == "stderr":
            self._words.add(output.data)
            await self._tell(output)

    async def line(self, program: Program, message: dict[str, Any]) -> None:
        """See `Listener`. It answers, asks, or tells what happens; threads of its own helpers are not ours."""
        method, params = message.get("method"), object_of(message.get("params"))
        written = json.dumps(message, ensure_ascii=False, separators=(",", ":")) + "\n"
        await self._tell(Output(written.encode(errors="replace"), "stdout", alive=is_alive(message)))
        if not isinstance(method, str):
            self._calls.answered(message)
        elif "id" in message:
            self._asked(program, message["id"], method, params)
        elif method == "account/rateLimits/updated":
            self._limits = object_of(params.get("rateLimits"))
        elif method == "mcpServer/startupStatus/updated" and params.get("status") == "failed":
            log.warning("mcp_server_missing", server=params.get("name"), reason=text_of(params.get("error")))
        elif params.get("threadId") == self._memory.id:
            await self._told(program, method, params)

    async def exited(self, program: Program, ended: Ended) -> None:
        """See `Listener`: without the end of its turn it was killed, whatever its status says."""
        self.remembers = False
        self._calls.close()
        if self._turn is None:
            log.info("program_ended", reason=ended.reason or "exited with status 0")
            return
        words = self._words.last
        said = f": {words}" if words else ""
        await self._turn.end(Ended("crashed", f"it {ended.reason or 'ended'} without ending its turn{said}"))

    async def reaped(self) -> None:
        """See `Listener`: the next process resumes the thread."""
        self.remembers = False
        self._calls.close()

    async def _tell(self, output: Output) -> None:
        if self._turn is not None:
            await self._turn.output(output)

    async def _told(self, program: Program, method: str, params: dict[str, Any]) -> None:
        match method:
            case "item/started" | "item/completed":
                await self._item(method, object_of(params.get("item")))
            case "thread/tokenUsage/updated":
                self._memory.count(object_of(params.get("tokenUsage")).get("total"))
            case "turn/started" if self._turn is not None:
                self._turn.started(text_of(object_of(params.get("turn")).get("id")))
            case "serverRequest/resolved" if self._prompts is not None:
                self._prompts.withdraw(params.get("requestId"))
            case "turn/completed":
                await self._completed(object_of(params.get("turn")))
            case _:
                pass

    async def _item(self, method: str, item: dict[str, Any]) -> None:
        if item.get("type") == COMPACTION:
            self._shrunk = True
        if method == "item/completed":
            self._items.pop(text_of(item.get("id")), None)
        elif self._turn is not None:
            self._items[text_of(item.get("id"))] = item
            await self._turn.item(item)

    async def _completed(self, turn: dict[str, Any]) -> None:
        if self._turn is None or self._memory.id is None:
            return
        self._calls.tell("thread/backgroundTerminals/clean", threadId=self._memory.id)  # no command outlives its turn
        if self._overflow.asking and turn.get("status") == "completed":
            self._overflow.shortened()
            self._shrunk = False  # the prompt was written for a model that knows nothing
            self._resident.tasks.start_soon(self._turn.go_on)  # it waits for an answer, which is heard here
            return
        ended = outcomes.judge(turn, self._memory.usage(self._turn.tools), self._limits)
        await self._turn.end(self._overflow.failed(ended) if self._overflow.asking else ended)

    # --- what the process asks ----------------------------------------------------------------------

    def _asked(self, program: Program, request: object, method: str, params: dict[str, Any]) -> None:
        wanted: Wanted | None = wanted_of(method, params, self._items, str(self.seat.cwd))
        if wanted is None:
            program.say(answer_of(request, method, params))
        elif self._prompts is None:
            program.say(reply(request, wanted.no))
        else:
            self._prompts.ask(request, wanted)


def _unsaid(message: dict[str, Any]) -> bool:
    """Nothing runs that could be told."""
    return False
