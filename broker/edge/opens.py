"""The waits for mail of turn loops: who waits, and who has just come to wait. In memory."""

from dataclasses import dataclass
from typing import Any

import anyio

from broker.store.jobs import Ticket


@dataclass(eq=False, slots=True)
class Open:
    """One `turns.open` that is not answered yet."""

    agent: str
    ticket: Ticket[Any] | None = None
    """None: it waits for nothing, and is answered at once."""


class ParkedOpens:
    """All of them, by agent. An agent with one is not stalled: it waits as it should."""

    def __init__(self) -> None:
        self._by_agent: dict[str, list[Open]] = {}
        self._coming: dict[str, anyio.Event] = {}

    def __len__(self) -> int:
        return len(self._by_agent)

    def agents(self) -> set[str]:
        """Name the agents whose loop waits."""
        return set(self._by_agent)

    def add(self, agent: str) -> Open:
        """Count an open in, which tells whoever waits for it to come."""
        came = Open(agent)
        self._by_agent.setdefault(agent, []).append(came)
        if (coming := self._coming.pop(agent, None)) is not None:
            coming.set()
        return came

    def remove(self, answered: Open) -> None:
        """Count it out."""
        opens = self._by_agent[answered.agent]
        opens.remove(answered)
        if not opens:
            del self._by_agent[answered.agent]

    def tickets(self, agent: str) -> list[Ticket[Any]]:
        """Give what can be withdrawn."""
        return [one.ticket for one in self._by_agent.get(agent, ()) if one.ticket is not None]

    def awaited(self) -> set[str]:
        """Name the agents for whose next open somebody waits."""
        return set(self._coming)

    def coming(self, agent: str) -> anyio.Event:
        """Give what is set when the next open of an agent comes."""
        return self._coming.setdefault(agent, anyio.Event())
