"""Running a backend's turn to its end, or to a point that a test names."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from harness.backends.protocol import Backend, Began, Ended, Event, Output, RunningTurn, TurnRequest


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


async def play(backend: Backend, prompt: str = "the prompt") -> Played:
    """Run a turn to its end."""
    played = Played()
    async with backend.run(TurnRequest("t1", prompt)) as program:
        async for event in program.events():
            played.events.append(event)
    return played


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
