"""`codex exec`: a process for each turn, where nothing can be asked anyway; the thread is resumed by its id."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from harness.backends.codex import launch, outcomes
from harness.backends.codex.memory import Memory
from harness.backends.codex.probing import probe
from harness.backends.codex.shapes import is_answer, object_of, text_of, tool_of
from harness.backends.codex.words import LastWords
from harness.backends.command import judge as judge_exit
from harness.backends.lines import Lines
from harness.backends.process import Child, Launch, running
from harness.backends.protocol import Began, Ended, Event, Output, Probe, RunningTurn, ToolUse, TurnRequest
from harness.backends.seat import Seat
from wire.settings import AgentSettings

KEY = "CODEX_API_KEY"
"""The one variable in which `codex exec` looks for a key."""


def fits(settings: AgentSettings) -> bool:
    """Say whether a process per turn is wanted and nothing has to be asked, which it cannot."""
    asks = settings.permissions in ("ask", "edits") or (settings.permissions == "deny" and settings.allowed_tools)
    return not settings.warm and not asks


class CodexExecBackend:
    """See `harness.backends.protocol.Backend`."""

    resident = False
    remembers = False
    """Each process is told anew who it is; the thread it goes on with is in its history."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self._memory = Memory(seat)

    async def probe(self) -> Probe:
        """See `harness.backends.codex.probing`."""
        return await probe(self.seat)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """See `Backend.open`: nothing of it outlives a turn."""
        yield

    @asynccontextmanager
    async def run(self, request: TurnRequest) -> AsyncGenerator[RunningTurn]:
        """See `harness.backends.protocol.Backend.run`."""
        environment = launch.environment_of(self.seat)
        launch.find(self.seat, environment)
        if (key := launch.key_of(self.seat, environment)) is not None:
            environment[KEY] = key
        self._memory.recall()
        argv = launch.argv_of_exec(self.seat, environment, self._memory.id)
        started = Launch(argv, self.seat.cwd, environment, request.prompt or "", judge_exit, self.seat.grace_s)
        async with running(started) as child:
            yield ExecTurn(child, self._memory)


class ExecTurn:
    """See `harness.backends.protocol.RunningTurn`."""

    def __init__(self, child: Child, memory: Memory) -> None:
        self._child = child
        self._memory = memory
        self._resumed = memory.id is not None
        self._words = LastWords()
        self._began = False
        self._tools: dict[str, str] = {}
        """By the id of the item."""
        self._said: Ended | None = None
        """How it ended, by its own word; it counts once the process is gone, and the thread is on disk."""

    @property
    def pid(self) -> int:
        """See `RunningTurn`."""
        return self._child.pid

    async def nudge(self, text: str) -> bool:
        """Not possible: stdin was closed behind the prompt."""
        return False

    async def interrupt(self) -> None:
        """Send the group what Ctrl-C would send."""
        await self._child.interrupt()

    async def events(self) -> AsyncIterator[Event]:
        """See `RunningTurn`."""
        lines = Lines()
        async for event in self._child.events():
            match event:
                case Output(data, stream):
                    yield event
                    if stream == "stderr":
                        self._words.add(data)
                        continue
                    for message in lines.feed(data):
                        for made in self._line(message):
                            yield made
                case Ended():
                    yield self._end(event)
                case _:
                    pass  # the first byte of output is no answer of the model

    def _line(self, message: dict[str, Any]) -> list[Event]:
        match message.get("type"):
            case "thread.started":
                self._memory.keep(text_of(message.get("thread_id")))
            case "item.started" | "item.completed":
                return self._item(object_of(message.get("item")))
            case "turn.completed":
                self._memory.count(message.get("usage"))
                self._said = Ended("completed", usage=self._memory.usage(list(self._tools.values())))
            case "turn.failed":
                error = object_of(message.get("error"))
                words = outcomes.words_of(error)[: outcomes.REASON_CHARACTERS]
                self._said = Ended(outcomes.outcome_of(error), words)
            case _:
                pass
        return []

    def _item(self, item: dict[str, Any]) -> list[Event]:
        """Some items are told at their beginning and at their end, others at their end only."""
        made: list[Event] = []
        if not is_answer(item) or item.get("type") == "error":
            return made
        if not self._began:
            self._began = True
            made.append(Began())
        name = text_of(item.get("id"))
        if (tool := tool_of(item)) is not None and name not in self._tools:
            self._tools[name] = tool
            made.append(ToolUse(tool))
        return made

    def _end(self, ended: Ended) -> Ended:
        """Say how it ended; without a word of its own it was killed, whatever its status says."""
        if self._said is not None:
            if self._said.outcome == "context_full":
                self._memory.forget()
            return self._said
        words = self._words.all
        if self._resumed and outcomes.lost_session(words):
            self._memory.forget()
            return Ended("interrupted", "it does not know its thread any more; a new one begins")
        reason = f"it {ended.reason or 'ended'} without a result: {outcomes.reason_of(words)}"
        return Ended(outcomes.by_words(words) or "crashed", reason)
