"""A publisher's line to the MQTT broker: straight, or on another machine over the link (docs/adr/0017).

There the fleet's broker takes each event and publishes it. What a lost line means is decided by `wire.publisher`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from wire.errors import Full, Internal, Limited, Unavailable
from wire.jobs import JobsTransported
from wire.mqtt import LineLost, connected
from wire.records import transport_of

AT_ONCE = 3
"""Events on the way to the fleet's broker, each of another job: an agent has room for eight requests, and waits for its
mail with some of them."""
PASSING = (Unavailable, Limited, Full, Internal)
"""Refusals that say nothing of the event: it is sent again on the next line, and so are those behind it."""

Carry = Callable[[str, bytes, bool], Awaitable[None]]
"""Hands an event in at the fleet's broker: topic, payload, whether it is retained."""


class Line(Protocol):
    """What a publisher needs of a line that is up."""

    @property
    def lost(self) -> anyio.Event:
        """Set once it is no more."""
        ...

    @property
    def where(self) -> str:
        """Name the MQTT broker, for people."""
        ...

    @property
    def hung_up(self) -> bool:
        """Say whether the MQTT broker ended it, perhaps over something that was on the way."""
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish; returns when the MQTT broker has it.

        Raises:
            LineLost: it may or may not have arrived. QueenpostError: it was refused.
        """
        ...

    def gone(self) -> LineLost:
        """Say why it is no more."""
        ...


class LinkLine:
    """A line over the link: up until the first event of which nobody knows whether it arrived."""

    def __init__(self, where: str, carry: Carry) -> None:
        self.where = where
        self.lost = anyio.Event()
        self.hung_up = False
        """The fleet's broker says so. A link that is lost says nothing against an event."""
        self._carry = carry
        self._places = anyio.Semaphore(AT_ONCE)
        self._turns: dict[str, anyio.Lock] = {}
        """By topic. Were a second event of a job on the way, it could be taken where the first one was refused, and the
        job might have the first one never."""
        self._why = ""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """See `Line`. In the order of the calls, one of a job at a time."""
        async with self._turns.setdefault(topic, anyio.Lock()), self._places:
            if self.lost.is_set():  # while it waited: it was not sent
                raise self.gone()
            try:
                await self._carry(topic, payload, retain)
            except PASSING as exc:
                self._lose(exc.message, hung_up="hung_up" in exc.details)
                raise self.gone() from exc

    def gone(self) -> LineLost:
        """See `Line`."""
        return LineLost(f"{self._why}; what waits is sent again")

    def _lose(self, why: str, *, hung_up: bool) -> None:
        self._why = self._why or why
        self.hung_up = self.hung_up or hung_up
        self.lost.set()


@asynccontextmanager
async def line_of(told: JobsTransported, name: str, carry: Carry) -> AsyncGenerator[Line]:
    """Hold a line as the fleet's broker told one to; `name` is the client id where it is straight.

    Raises:
        QueenpostError: it cannot be had.
    """
    if told.by_link:
        yield LinkLine(f"{told.url} beside the fleet's broker", carry)
        return
    async with connected(transport_of(told), name, clean=True) as line:
        yield line
