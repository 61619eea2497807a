"""One round of jobs through one transaction: what it would settle and park, if its commit succeeds."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from broker.store.jobs import AnyJob, Job, Outcome, Submission, Ticket, Withdrawal
from broker.store.parking import AnyTicket, Parking
from broker.store.transaction import Ran, Transaction
from broker.store.tx import Effects


class Round:
    """Leaves the parking as it is until `make_true`, so that a lost transaction needs no undoing here."""

    def __init__(self, parking: Parking) -> None:
        self._parking = parking
        self._fresh: dict[str, list[AnyTicket]] = {}
        self.settled: dict[AnyJob, Outcome[Any]] = {}
        self.ran: set[AnyJob] = set()
        """Every job whose command came to an end in this transaction."""
        self.running: AnyJob | None = None
        """The job whose command is under way; after a loss, the one that failed."""
        self.effects = Effects()
        self.wrote = False

    def take(self, transaction: Transaction, job: Submission) -> None:
        """Run a job's command, or do what a withdrawal asks."""
        if isinstance(job, Withdrawal):
            self._withdraw(job.ticket)
            return
        self._run(transaction, job)
        if isinstance(job, Ticket) and job not in self.settled and job not in self._parking:
            self._fresh.setdefault(job.agent, []).append(job)

    def wake(self, transaction: Transaction) -> None:
        """Run the waiting tickets of the agents that were woken."""
        run_woken(self.effects.woken, self._waiting, lambda ticket: self._run(transaction, ticket))

    def make_true(self) -> None:
        """Park and unpark, now that the transaction is committed."""
        for job in self.settled:
            if isinstance(job, Ticket):
                self._parking.remove(job)
        for ticket in (ticket for tickets in self._fresh.values() for ticket in tickets):
            if ticket not in self.settled:
                self._parking.add(ticket)

    def _run(self, transaction: Transaction, job: Job[Any]) -> Ran[Any]:
        self.running = job
        ran = transaction.run(job.command)
        self.running = None
        self.ran.add(job)
        self.effects.add(ran.effects)
        self.wrote = self.wrote or ran.wrote
        if not (isinstance(job, Ticket) and found_nothing(ran)):
            self.settled[job] = ran.outcome
        return ran

    def _withdraw(self, ticket: AnyTicket) -> None:
        if ticket in self._waiting(ticket.agent):
            self.settled[ticket] = Outcome()

    def _waiting(self, agent: str) -> list[AnyTicket]:
        tickets = [*self._parking.of(agent), *self._fresh.get(agent, ())]
        return [ticket for ticket in tickets if ticket not in self.settled]


def found_nothing(ran: Ran[Any]) -> bool:
    """Whether a ticket's command says that it has to wait on."""
    return ran.outcome.value is None and ran.outcome.error is None


def run_woken(
    woken: Iterable[str], waiting: Callable[[str], list[AnyTicket]], run: Callable[[AnyTicket], Ran[Any]]
) -> None:
    """Run the tickets of woken agents again, and those of agents woken by that, until nobody is."""
    agents = deque(sorted(woken))
    waits_on: set[AnyTicket] = set()
    while agents:
        for ticket in waiting(agents.popleft()):
            ran = run(ticket)
            # Wakes by a ticket that waits on are followed once, else two such could wake each other for ever.
            idle = found_nothing(ran)
            if ran.effects.woken and not (idle and ticket in waits_on):
                agents.extend(sorted(ran.effects.woken.difference(agents)))
            if idle:
                waits_on.add(ticket)
