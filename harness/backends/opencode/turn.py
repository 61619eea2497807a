"""One turn of opencode: from the prompt to the answer that ends it. Its events are heard on another way, beside it."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import httpx2
from anyio.abc import TaskGroup

from harness.backends.opencode import outcomes
from harness.backends.opencode.server import RefusedError
from harness.backends.opencode.shapes import cost_of, is_worth_keeping, object_of, read_tokens, written_tokens
from harness.backends.protocol import Began, Ended, Event, Output, ToolUse
from wire.turns import Outcome, Usage, by_tool

QUEUED_EVENTS = 64
LATE_S = 2.0
"""The answer may come before the events that led to it."""

Say = Callable[[str], Awaitable[dict[str, Any]]]
"""Says something in the session; gives the last answer once nothing more is to be done there."""


class OpencodeTurn:
    """See `harness.backends.protocol.RunningTurn`."""

    def __init__(
        self, pid: int, tasks: TaskGroup, *, now_ms: Callable[[], int], secret: str, earlier: frozenset[str]
    ) -> None:
        self.pid = pid
        self.over = False
        """It has ended; what comes now belongs to no turn."""
        self.outcome: Outcome | None = None
        self.session = ""
        self.shrunk = False
        """The history became a summary."""
        self.answers: dict[str, dict[str, Any]] = {}
        """Of the model, by id; those of its helpers too."""
        self.stop: Callable[[], Awaitable[None]] | None = None
        """Has the program stop what it does in the session."""
        self._tasks = tasks
        self._now_ms = now_ms
        self._secret = secret
        self._earlier = earlier
        self._say: Say | None = None
        self._said = 0
        """What was said and is not dealt with."""
        self._idle = anyio.Event()
        self._began = False
        self._calls: dict[str, dict[str, Any]] = {}
        """Arguments of tools, by call."""
        self._tools: list[str] = []
        self._overflows = Counter[str]()
        """By session: its helpers have some of their own."""
        self._error: dict[str, Any] = {}
        self._send, self._receive = anyio.create_memory_object_stream[Event](QUEUED_EVENTS)

    @property
    def clean(self) -> bool:
        """It was completed, and the program can take the next turn."""
        return self.outcome == "completed" and not self._said

    # --- what the harness does ----------------------------------------------------------------------

    async def play(self, say: Say, prompt: str) -> None:
        """Say the prompt, and wait for the end of the turn, or of this part of it."""
        self._say = say
        await self._speak(say, prompt)

    async def compact(self, compact: Callable[[], Awaitable[None]]) -> Ended | None:
        """Have the history made shorter before the prompt; gives why that was not possible, None where it was."""
        try:
            await compact()
        except RefusedError as exc:
            self._error = self._error or exc.error or {"data": {"message": str(exc)}}
        with anyio.move_on_after(LATE_S):
            await self._idle.wait()
        if not self.shrunk:
            error = self._error or {"data": {"message": "it said nothing of it"}}
            return outcomes.judge_error(error, self.usage())
        self.shrunk = False  # the prompt was written for a model that knows nothing
        self._idle, self._error = anyio.Event(), {}
        self._overflows.clear()
        return None

    async def events(self) -> AsyncIterator[Event]:
        """See `RunningTurn`."""
        async for event in self._receive:
            yield event

    async def nudge(self, text: str) -> bool:
        """Say something into the running turn: the model reads it at its next step."""
        if self.over or self._say is None:
            return False
        self._tasks.start_soon(self._add, self._say, text)
        return True

    async def interrupt(self) -> None:
        """Ask for an end; the answer that follows is the end."""
        if self.stop is not None:
            await self.stop()

    def close(self) -> None:
        """Hear nothing more."""
        self.over = True
        self._send.close()
        self._receive.close()

    async def _add(self, say: Say, text: str) -> None:
        with suppress(httpx2.HTTPError):  # whoever waits for the answer to the prompt says so
            await self._speak(say, text)

    async def _speak(self, say: Say, text: str) -> None:
        """The turn is over when all that was said into it is dealt with: a line that comes too late prolongs it."""
        self._said += 1
        answer: dict[str, Any] = {}
        refused: RefusedError | None = None
        try:
            answer = await say(text)
        except RefusedError as exc:
            refused = exc
        finally:
            self._said -= 1
        with anyio.move_on_after(LATE_S):
            await self._idle.wait()
        if self._said:
            return
        if refused is None:
            await self.end(outcomes.judge(answer, self.usage()))
        else:  # what it says itself came as an event
            error = self._error or {"data": {"message": str(refused)}}
            await self.end(outcomes.judge_error(error, self.usage()))

    # --- what the program says ----------------------------------------------------------------------

    async def event(self, event: dict[str, Any]) -> None:
        """Make events of one of its own."""
        said = object_of(event.get("properties"))
        kept = json.dumps(event, ensure_ascii=False).replace(self._secret, "[masked]") + "\n"
        match event.get("type"):
            case "message.updated":
                await self._message(object_of(said.get("info")))
            case "message.part.updated":
                await self._part(object_of(said.get("part")))
            case "message.part.delta":
                await self._begin(str(said.get("messageID")))
            case "session.status":
                await self._status(str(said.get("sessionID") or ""), object_of(said.get("status")))
            case "session.error":
                await self._failed(str(said.get("sessionID") or ""), object_of(said.get("error")))
            case "session.compacted" if said.get("sessionID") == self.session:
                self.shrunk = True
            case _:
                pass
        alive = self._is_life(str(event.get("type")), said)
        if alive or is_worth_keeping(event):
            await self.output(Output(kept.encode() if is_worth_keeping(event) else b"", "stdout", alive))

    async def output(self, output: Output) -> None:
        """Hand on what it wrote; with nothing in it, it is a sign of life."""
        await self._tell(output)

    async def end(self, ended: Ended) -> None:
        """Say how it ended; the first word counts."""
        if not self.over:
            self.over = True
            self.outcome = ended.outcome
            await self._tell(ended)
            self._send.close()

    def arguments_of(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Give the arguments of the call that a prompt is about."""
        return self._calls.get(str(object_of(asked.get("tool")).get("callID")), {})

    def usage(self) -> Usage:
        """Add up what the answers of this turn cost."""
        found = list(self.answers.values())
        return Usage(
            input_tokens=sum(read_tokens(info) for info in found),
            output_tokens=sum(written_tokens(info) for info in found),
            cost_usd=sum(cost_of(info) for info in found),
            tool_calls=len(self._calls),
            tools=by_tool(self._tools),
        )

    async def _message(self, info: dict[str, Any]) -> None:
        name = str(info.get("id"))
        if info.get("role") == "assistant" and name not in self._earlier:
            self.answers[name] = info

    async def _part(self, part: dict[str, Any]) -> None:
        if part.get("type") in ("text", "reasoning", "tool"):
            await self._begin(str(part.get("messageID")))
        call, state = str(part.get("callID")), object_of(part.get("state"))
        if part.get("type") == "tool" and state.get("status") != "pending" and call not in self._calls:
            self._calls[call] = object_of(state.get("input"))
            self._tools.append(str(part.get("tool")))
            await self._tell(ToolUse(self._tools[-1]))

    def _is_life(self, kind: str, said: dict[str, Any]) -> bool:
        """Say whether the turn moves: its heartbeat goes on without that, and it repeats what we say to it."""
        if kind.startswith("message.part."):
            message = said.get("messageID") or object_of(said.get("part")).get("messageID")
        else:
            message = object_of(said.get("info")).get("id") if kind == "message.updated" else None
        return message in self.answers or kind.startswith("permission.") or kind == "session.compacted"

    async def _begin(self, message: str) -> None:
        answer = self.answers.get(message)
        if not self._began and answer is not None and not answer.get("summary"):
            self._began = True
            await self._tell(Began())

    async def _status(self, session: str, status: dict[str, Any]) -> None:
        match status.get("type"):
            case "retry":
                if (ended := outcomes.wall(status, self._now_ms())) is not None:
                    await self.end(replace(ended, usage=self.usage()))
            case "idle" if session == self.session:
                self._idle.set()
            case "busy" if session == self.session and self._idle.is_set():
                self._idle = anyio.Event()
            case _:
                pass

    async def _failed(self, session: str, error: dict[str, Any]) -> None:
        if session in (self.session, ""):
            self._error = error
        if error.get("name") == "ContextOverflowError":
            self._overflows[session] += 1
            if self._overflows[session] >= outcomes.OVERFLOWS:
                await self.end(outcomes.judge_error(error, self.usage()))

    async def _tell(self, event: Event) -> None:
        try:
            await self._send.send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody listens any more
