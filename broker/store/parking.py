"""The tickets that wait: by agent, and by when they give up. It settles none; `broker.store.group` does."""

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Any

from broker.store.jobs import Ticket

AnyTicket = Ticket[Any]


class Parking:
    """Tickets in the order in which they were parked. Only the thread that commits touches it."""

    def __init__(self) -> None:
        self.by_agent: dict[str, list[AnyTicket]] = {}
        self._tickets: set[AnyTicket] = set()
        self._ends: list[tuple[int, int, AnyTicket]] = []
        """A heap; tickets that have left are taken out later: at its top, or when they are most of it."""
        self._numbers = count()

    def __contains__(self, ticket: AnyTicket) -> bool:
        return ticket in self._tickets

    def of(self, agent: str) -> list[AnyTicket]:
        """List an agent's tickets, oldest first."""
        return list(self.by_agent.get(agent, ()))

    def add(self, ticket: AnyTicket) -> None:
        """Park a ticket behind those of its agent."""
        self._tickets.add(ticket)
        self.by_agent.setdefault(ticket.agent, []).append(ticket)
        heapq.heappush(self._ends, (ticket.until_ms, next(self._numbers), ticket))
        if len(self._ends) > 2 * len(self._tickets) + 64:
            self._ends = [end for end in self._ends if end[2] in self._tickets]
            heapq.heapify(self._ends)

    def remove(self, ticket: AnyTicket) -> bool:
        """Take a ticket out; False if it was not parked."""
        if ticket not in self._tickets:
            return False
        self._tickets.discard(ticket)
        waiting = self.by_agent[ticket.agent]
        waiting.remove(ticket)
        if not waiting:
            del self.by_agent[ticket.agent]
        return True

    def take_overdue(self, now_ms: int) -> Iterator[AnyTicket]:
        """Take out each ticket whose time is up."""
        while (end := self.next_end_ms()) is not None and end <= now_ms:
            ticket = self._ends[0][2]
            self.remove(ticket)
            yield ticket

    def next_end_ms(self) -> int | None:
        """Give the instant at which the first ticket gives up; None if none waits."""
        while self._ends and self._ends[0][2] not in self._tickets:
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else None
