"""How the harness reaches the broker on behalf of one agent, and how long it tries.

The connection itself is `wire.client`; this is the seam that a fake post office implements in tests.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import anyio

from wire.backoff import Backoff
from wire.errors import Internal, Limited, Unavailable
from wire.logs import get_logger
from wire.model import Request, Result

R = TypeVar("R", bound=Result)

PASSING = (Unavailable, Limited, Internal)
"""Refusals that may not come again: the broker starts, stops, is busy, or has met a defect of its own."""

log = get_logger("harness")


class Counter(Protocol):
    """Where requests are handed in: the client, or one link of it."""

    async def call(self, request: Request, result: type[R], *, as_: str | None = None, timeout_s: float = 30.0) -> R:
        """Ask the broker, as the harness or as an attached agent; raises what it answered."""
        ...


class Post:
    """The counter as one agent uses it."""

    def __init__(self, counter: Counter, agent: str) -> None:
        self._counter = counter
        self.agent = agent

    async def call(self, request: Request, result: type[R], *, timeout_s: float = 30.0) -> R:
        """Ask as the agent.

        Raises:
            QueenpostError: as the broker refused it.
        """
        return await self._counter.call(request, result, as_=self.agent, timeout_s=timeout_s)

    async def insist(self, request: Request, result: type[R]) -> R:
        """Ask until the broker can answer, however long it is away.

        Raises:
            QueenpostError: a refusal that asking again does not change.
        """
        return await patiently(lambda: self.call(request, result))


async def patiently(ask: Callable[[], Awaitable[R]]) -> R:
    """Repeat what is refused for a passing reason; everything in our table of ops may be repeated."""
    backoff = Backoff(0.2, 5.0)
    while True:
        try:
            return await ask()
        except Internal as exc:
            log.warning("asking_again", code=exc.code, reason=exc.message)
        except PASSING as exc:
            log.debug("asking_again", code=exc.code, reason=exc.message)
        await anyio.sleep(backoff.next_s())
