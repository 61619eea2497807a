"""One turn of Claude Code: its lines, from the prompt to the `result` that ends it, as events."""

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import anyio

from harness.backends.claude import outcomes
from harness.backends.claude.shapes import is_answer, object_of, reset_of, tools_of, whole
from harness.backends.protocol import Began, Ended, Event, Output, ToolUse
from wire.turns import Outcome, Usage

QUEUED_EVENTS = 64
COMPACT = "/compact"
"""A command of its own: it is not echoed as our lines are, and its `result` is no error where it did nothing."""

Say = Callable[[dict[str, Any]], bool]
"""Has a line written to the program; False where it reads no more."""


class ClaudeTurn:
    """See `harness.backends.protocol.RunningTurn`."""

    def __init__(self, pid: int, say: Say, cost_of: Callable[[float], float]) -> None:
        self.pid = pid
        self.over = False
        """It has ended; what comes now belongs to no turn."""
        self.outcome: Outcome | None = None
        """How it ended, if it did."""
        self._say = say
        self._cost_of = cost_of
        self._waiting: str | None = None
        """The prompt, while the program makes its history shorter before."""
        self._began = False
        self._tools = 0
        self._tokens = [0, 0]
        """Into the model and out of it, of all results so far."""
        self._until_ms: int | None = None
        """When the quota that is used up is there again."""
        self._unheard: set[str] = set()
        """Lines that the program has not taken up yet."""
        self._send, self._receive = anyio.create_memory_object_stream[Event](QUEUED_EVENTS)

    @property
    def clean(self) -> bool:
        """It was completed, and the program holds nothing of it any more: it can take the next turn."""
        return self.outcome == "completed"

    # --- what the harness does ----------------------------------------------------------------------

    def begin(self, prompt: str) -> bool:
        """Put the prompt; False where the program is gone."""
        return self._user(prompt)

    def compact(self, prompt: str) -> bool:
        """Have the history made shorter, and keep the prompt until `go_on`; False where the program is gone."""
        self._waiting = prompt
        message = {"role": "user", "content": COMPACT}
        return self._say({"type": "user", "message": message, "parent_tool_use_id": None, "uuid": str(uuid.uuid4())})

    def go_on(self) -> bool:
        """Put the prompt that has waited; False where the program is gone."""
        prompt, self._waiting = self._waiting or "", None
        return self.begin(prompt)

    async def events(self) -> AsyncIterator[Event]:
        """See `RunningTurn`."""
        async for event in self._receive:
            yield event

    async def nudge(self, text: str) -> bool:
        """Put a line into the running turn: the model reads it with the result of its next tool."""
        return not self.over and self._waiting is None and self._user(text)

    async def interrupt(self) -> None:
        """Ask for an end; the `result` that follows is the end."""
        self._say({"type": "control_request", "request_id": str(uuid.uuid4()), "request": {"subtype": "interrupt"}})

    def close(self) -> None:
        """Hear nothing more."""
        self._send.close()
        self._receive.close()

    def _user(self, text: str) -> bool:
        name = str(uuid.uuid4())
        message = {"role": "user", "content": text}
        said = self._say({"type": "user", "message": message, "parent_tool_use_id": None, "uuid": name})
        if said:
            self._unheard.add(name)
        return said

    # --- what the program says ----------------------------------------------------------------------

    async def output(self, output: Output) -> None:
        """Hand on what it wrote."""
        await self._tell(output)

    async def line(self, message: dict[str, Any]) -> None:
        """Make events of one line."""
        match message.get("type"):
            case "assistant" if is_answer(message):
                await self._assistant(message)
            case "user" if message.get("isReplay"):
                self._unheard.discard(str(message.get("uuid")))
            case "rate_limit_event":
                self._until_ms = reset_of(message)
            case "result":
                await self._result(message)
            case _:
                pass

    async def end(self, ended: Ended) -> None:
        """Say how it ended; the first word counts."""
        if not self.over:
            self.over = True
            self.outcome = ended.outcome
            limited = ended.outcome == "rate_limited"
            await self._tell(replace(ended, until_ms=self._until_ms) if limited else ended)
            self._send.close()

    async def _assistant(self, message: dict[str, Any]) -> None:
        if not self._began:
            self._began = True
            await self._tell(Began())
        for name in tools_of(message):
            self._tools += 1
            await self._tell(ToolUse(name))

    async def _result(self, message: dict[str, Any]) -> None:
        """A result ends the turn, unless a line of ours came too late for it and makes a further one."""
        self._count(object_of(message.get("usage")))
        queued = message.get("queued_turn_count")
        if outcomes.is_completed(message) and (self._unheard or (isinstance(queued, int) and queued > 0)):
            return
        await self.end(outcomes.judge(message, self._usage(message)))

    def _count(self, usage: dict[str, Any]) -> None:
        read = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        self._tokens[0] += sum(whole(usage.get(name)) for name in read)
        self._tokens[1] += whole(usage.get("output_tokens"))

    def _usage(self, message: dict[str, Any]) -> Usage:
        cost = message.get("total_cost_usd")
        return Usage(
            input_tokens=self._tokens[0],
            output_tokens=self._tokens[1],
            cost_usd=self._cost_of(float(cost)) if isinstance(cost, int | float) else None,
            tool_calls=self._tools,
        )

    async def _tell(self, event: Event) -> None:
        try:
            await self._send.send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody listens any more
