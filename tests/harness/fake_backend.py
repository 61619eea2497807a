"""A backend whose programs do what a test says, without a process."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import anyio

from harness.backends.protocol import Began, Ended, Event, NotStartedError, Output, Probe, ToolUse, TurnRequest
from wire.turns import Outcome


class FakeProgram:
    """A running turn; see `harness.backends.protocol.RunningTurn`."""

    def __init__(self, request: TurnRequest) -> None:
        self.request = request
        self.pid = 1
        self.told: list[str] = []
        self.interrupted = anyio.Event()
        self.left = anyio.Event()
        """The harness is through with it."""
        self._send, self._receive = anyio.create_memory_object_stream[Event](100)

    @property
    def prompt(self) -> str:
        """What it was told at its start."""
        return self.request.prompt or ""

    def begins(self, data: bytes = b"thinking\n") -> None:
        """Write a first line."""
        self._send.send_nowait(Began())
        self._send.send_nowait(Output(data, "stdout"))

    def uses(self, tool: str) -> None:
        """Let the model use a tool."""
        self._send.send_nowait(ToolUse(tool))

    def confirms(self) -> None:
        """Say that it heard us, and no more."""
        self._send.send_nowait(Output(b"heard\n", "stdout", alive=False))

    def ends(self, outcome: Outcome = "completed", reason: str = "", *unseen: str) -> None:
        """Come to an end."""
        self._send.send_nowait(Ended(outcome, reason, unseen=unseen))
        self._send.close()

    def vanishes(self) -> None:
        """Be gone without saying how it ended."""
        self._send.close()

    async def events(self) -> AsyncIterator[Event]:
        """See `RunningTurn`."""
        async for event in self._receive:
            yield event

    async def nudge(self, text: str) -> bool:
        """See `RunningTurn`."""
        self.told.append(text)
        return True

    async def interrupt(self) -> None:
        """See `RunningTurn`."""
        self.interrupted.set()

    def close(self) -> None:
        """Be gone."""
        self._send.close()
        self._receive.close()
        self.left.set()


class FakeBackend:
    """See `harness.backends.protocol.Backend`."""

    def __init__(self, *, resident: bool = False, remembers: bool = False) -> None:
        self.resident = resident
        self.remembers = remembers
        self.is_open = False
        self.refusals: list[NotStartedError] = []
        """What the next turns are refused with."""
        self.started = 0
        self._send, self._receive = anyio.create_memory_object_stream[FakeProgram](100)

    async def probe(self) -> Probe:
        """See `Backend`."""
        return Probe("1")

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """See `Backend`."""
        self.is_open = True
        try:
            yield
        finally:
            self.is_open = False

    @asynccontextmanager
    async def run(self, request: TurnRequest) -> AsyncGenerator[FakeProgram]:
        """See `Backend`."""
        if self.refusals:
            raise self.refusals.pop(0)
        program = FakeProgram(request)
        self.started += 1
        self._send.send_nowait(program)
        try:
            yield program
        finally:
            program.close()

    async def next_program(self) -> FakeProgram:
        """Wait for the next turn to start."""
        return await self._receive.receive()

    def close(self) -> None:
        """End of the test."""
        self._send.close()
        self._receive.close()
