"""One turn of Codex's app-server: what it says, from the prompt to the `turn/completed` that ends it, as events."""

from collections.abc import AsyncIterator
from typing import Any

import anyio

from harness.backends.codex.calls import Calls, GoneError, RefusedError
from harness.backends.codex.shapes import is_answer, object_of, text_of, tool_of
from harness.backends.protocol import Began, Ended, Event, Output, ToolUse
from wire.turns import Outcome

QUEUED_EVENTS = 64
CALL_S = 10.0
"""How long the program may take to say that it has heard."""


class CodexTurn:
    """See `harness.backends.protocol.RunningTurn`."""

    def __init__(self, pid: int, calls: Calls, thread: str) -> None:
        self.pid = pid
        self.over = False
        """It has ended; what comes now belongs to no turn."""
        self.outcome: Outcome | None = None
        """How it ended, if it did."""
        self.tools: list[str] = []
        """Those that were used, in their order."""
        self._calls = calls
        self._thread = thread
        self._id = ""
        """The program's own name of the turn."""
        self._waiting: str | None = None
        """The prompt, while the program makes its history shorter before."""
        self._began = False
        self._send, self._receive = anyio.create_memory_object_stream[Event](QUEUED_EVENTS)

    @property
    def completed(self) -> bool:
        """The program can take the next turn."""
        return self.outcome == "completed"

    # --- what the harness does ----------------------------------------------------------------------

    async def begin(self, prompt: str) -> None:
        """Put the prompt; where that is not possible the turn ends."""
        begun = await self._start("turn/start", input=_input(prompt))
        self.started(text_of(object_of(begun.get("turn")).get("id")))

    async def compact(self, prompt: str) -> None:
        """Have the history made shorter, in a turn of the program's own, and keep the prompt until `go_on`."""
        self._waiting = prompt
        await self._start("thread/compact/start")

    async def go_on(self) -> None:
        """Put the prompt that has waited."""
        prompt, self._waiting, self._id = self._waiting or "", None, ""
        await self.begin(prompt)

    def started(self, name: str) -> None:
        """Note the program's own name of the turn."""
        self._id = name or self._id

    async def events(self) -> AsyncIterator[Event]:
        """See `RunningTurn`."""
        async for event in self._receive:
            yield event

    async def nudge(self, text: str) -> bool:
        """Put words into the running turn: the model reads them with its next request, if need be one more."""
        if self.over or not self._id or self._waiting is not None:
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

    async def _start(self, method: str, **params: Any) -> dict[str, Any]:
        try:
            with anyio.fail_after(CALL_S):
                return await self._calls.call(method, threadId=self._thread, **params)
        except (RefusedError, TimeoutError) as exc:
            await self.end(Ended("crashed", str(exc) or f"it did not take the prompt within {CALL_S:g} s"))
        except GoneError:
            await self.end(Ended("crashed", "it reads no more"))
        return {}

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
            self.outcome = ended.outcome
            await self._tell(ended)
            self._send.close()

    async def _tell(self, event: Event) -> None:
        try:
            await self._send.send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody listens any more


def _input(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text, "text_elements": []}]
