"""One turn of Codex's app-server: what it says, from the prompt to the `turn/completed` that ends it, as events."""

from collections.abc import AsyncIterator
from typing import Any

import anyio

from harness.backends.codex.calls import Calls, GoneError, RefusedError
from harness.backends.codex.shapes import is_answer, object_of, text_of, tool_of
from harness.backends.protocol import Began, Ended, Event, Output, ToolUse

QUEUED_EVENTS = 64
CALL_S = 10.0
"""How long the program may take to say that it has heard."""


class CodexTurn:
    """See `harness.backends.protocol.RunningTurn`."""

    def __init__(self, pid: int, calls: Calls, thread: str) -> None:
        self.pid = pid
        self.over = False
        """It has ended; what comes now belongs to no turn."""
        self.completed = False
        """The program can take the next turn."""
        self.tools: list[str] = []
        """Those that were used, in their order."""
        self._calls = calls
        self._thread = thread
        self._id = ""
        """The program's own name of the turn."""
        self._began = False
        self._send, self._receive = anyio.create_memory_object_stream[Event](QUEUED_EVENTS)

    # --- what the harness does ----------------------------------------------------------------------

    async def begin(self, prompt: str) -> str | None:
        """Put the prompt; gives why that was not possible, None where it was."""
        try:
            with anyio.fail_after(CALL_S):
                begun = await self._calls.call("turn/start", threadId=self._thread, input=_input(prompt))
        except (RefusedError, TimeoutError) as exc:
            return str(exc) or f"it did not take the prompt within {CALL_S:g} s"
        except GoneError:
            return "it reads no more"
        self._id = text_of(object_of(begun.get("turn")).get("id"))
        return None

    async def events(self) -> AsyncIterator[Event]:
        """See `RunningTurn`."""
        async for event in self._receive:
            yield event

    async def nudge(self, text: str) -> bool:
        """Put words into the running turn: the model reads them with its next request, if need be one more."""
        if self.over or not self._id:
            return False
        return await self._ask("turn/steer", expectedTurnId=self._id, input=_input(text))

    async def interrupt(self) -> None:
        """Ask for an end; the `turn/completed` that follows is the end."""
        if self._id:
            await self._ask("turn/interrupt", turnId=self._id)

    def close(self) -> None:
        """Hear nothing more."""
        self._send.close()
        self._receive.close()

    async def _ask(self, method: str, **params: Any) -> bool:
        try:
            with anyio.fail_after(CALL_S):
                await self._calls.call(method, threadId=self._thread, **params)
        except (RefusedError, GoneError, TimeoutError):
            return False
        return True

    # --- what the program says ----------------------------------------------------------------------

    async def output(self, output: Output) -> None:
        """Hand on what it wrote."""
        await self._tell(output)

    async def item(self, item: dict[str, Any]) -> None:
        """The model has begun something: words, thoughts, the use of a tool."""
        if not is_answer(item):
            return
        if not self._began:
            self._began = True
            await self._tell(Began())
        if (tool := tool_of(item)) is not None:
            self.tools.append(tool)
            await self._tell(ToolUse(tool))

    async def end(self, ended: Ended) -> None:
        """Say how it ended; the first word counts."""
        if not self.over:
            self.over = True
            self.completed = ended.outcome == "completed"
            await self._tell(ended)
            self._send.close()

    async def _tell(self, event: Event) -> None:
        try:
            await self._send.send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody listens any more


def _input(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text, "text_elements": []}]
