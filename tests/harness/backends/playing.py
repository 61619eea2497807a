"""Running a backend's turn to its end, or to a point that a test names."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio

from harness.backends.protocol import Backend, Began, Ended, Event, Output, Permit, RunningTurn, TurnRequest, deny
from harness.backends.seat import Seat
from tests.fakes.json_lines import lines_in

B = TypeVar("B", bound=Backend)


@dataclass
class Played:
    """What a turn gave."""

    events: list[Event] = field(default_factory=list[Event])

    @property
    def ended(self) -> Ended:
        """How it ended; the last event."""
        last = self.events[-1]
        assert isinstance(last, Ended)
        return last

    @property
    def began(self) -> bool:
        """Whether the model had begun to answer."""
        return any(isinstance(event, Began) for event in self.events)

    def text(self, stream: str = "stdout") -> str:
        """All that came on one stream."""
        found = [event.data for event in self.events if isinstance(event, Output) and event.stream == stream]
        return b"".join(found).decode(errors="replace")


def ending(played: Played) -> tuple[str, str]:
    """Give outcome and reason."""
    return played.ended.outcome, played.ended.reason


async def play(backend: Backend, prompt: str = "the prompt", permit: Permit = deny) -> Played:
    """Run a turn to its end."""
    played = Played()
    async with backend.run(TurnRequest("t1", prompt, permit)) as program:
        async for event in program.events():
            played.events.append(event)
    return played


@dataclass
class Opened(Generic[B]):
    """One backend that is open, whose program plays another one, and keeps what it was told."""

    backend: B
    seat: Seat

    @property
    def folder(self) -> Path:
        """Where the program runs."""
        return self.seat.cwd

    async def play(self, *steps: str, permit: Permit = deny) -> Played:
        """Run a turn to its end; each step is a line of the prompt."""
        with anyio.fail_after(15):
            return await play(self.backend, "\n".join(steps), permit)

    def kept(self, name: str) -> list[Any]:
        """Give what the program noted, by the name of its file: `starts`, `heard` and others."""
        return lines_in(self.folder / f"{name}.jsonl")

    @property
    def pids(self) -> list[int]:
        """The processes there were, in their order."""
        return [start["pid"] for start in self.kept("starts")]


async def lines(program: RunningTurn) -> AsyncIterator[str]:
    """Give the program's lines as they come."""
    rest = ""
    async for event in program.events():
        if isinstance(event, Output) and event.stream == "stdout":
            *whole, rest = (rest + event.data.decode()).split("\n")
            for line in whole:
                yield line


async def first_line(program: RunningTurn) -> str:
    """Wait for the program's first line."""
    async for line in lines(program):
        return line
    raise AssertionError("the program ended without a line")
