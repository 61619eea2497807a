"""One turn of Gemini CLI: what it tells while it works on a prompt, as events."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio

from harness.backends.gemini.asking import tool_of
from harness.backends.protocol import Began, Ended, Event, Output, ToolUse

QUEUED_EVENTS = 64

_MODEL_SPOKE = frozenset({"agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update"})


class GeminiTurn:
    """See `harness.backends.protocol.RunningTurn`."""

    def __init__(self, pid: int, break_off: Callable[[], None]) -> None:
        self.pid = pid
        self.over = False
        """Nothing more of it is told."""
        self.clean = False
        """It ended as completed: the program waits for the next prompt."""
        self.prompted = False
        """Until then nothing that is told is of this turn."""
        self.muted = False
        """What is written is of earlier turns: a session that is resumed is told again."""
        self.answered = False
        """The model said or did something."""
        self.tools: set[str] = set()
        """Ids of the calls of tools."""
        self._break_off = break_off
        self._send, self._receive = anyio.create_memory_object_stream[Event](QUEUED_EVENTS)

    async def events(self) -> AsyncIterator[Event]:
        """See `RunningTurn`."""
        async for event in self._receive:
            yield event

    async def nudge(self, text: str) -> bool:
        """Not possible: a further prompt would break off the one that runs."""
        return False

    async def interrupt(self) -> None:
        """Ask for an end; the answer to the prompt that follows is the end."""
        self._break_off()

    def close(self) -> None:
        """Hear nothing more."""
        self._send.close()
        self._receive.close()

    # --- what the program says ----------------------------------------------------------------------

    async def output(self, output: Output) -> None:
        """Hand on what it wrote."""
        if not self.muted or output.stream == "stderr":
            await self._tell(output)

    async def update(self, update: dict[str, Any]) -> None:
        """Make events of one thing that it tells."""
        kind = update.get("sessionUpdate")
        if not self.prompted or kind not in _MODEL_SPOKE:
            return
        await self.spoke()
        call = str(update.get("toolCallId"))
        if kind in ("tool_call", "tool_call_update") and call not in self.tools:
            self.tools.add(call)  # of a call that was asked about, it tells the end only
            await self._tell(ToolUse(tool_of(call)))

    async def spoke(self) -> None:
        """The model has begun to answer."""
        if not self.answered:
            self.answered = True
            await self._tell(Began())

    async def end(self, ended: Ended) -> None:
        """Say how it ended; the first word counts."""
        if not self.over:
            self.over, self.clean = True, ended.outcome == "completed"
            await self._tell(ended)
            self._send.close()

    async def _tell(self, event: Event) -> None:
        try:
            await self._send.send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody listens any more
