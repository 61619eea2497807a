"""Group commit: many jobs, one transaction, one fsync. The synchronous heart of the store; no thread in it.

No outcome leaves before its COMMIT has returned. If the whole transaction is lost (full disk, failed write),
the jobs that had come to an end are run again once, each alone; the one that failed and the rest are refused.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from broker.store.database import Database
from broker.store.jobs import (
    AnyJob,
    Batch,
    Command,
    Job,
    Outcome,
    Settlement,
    Submission,
    Ticket,
    Withdrawal,
)
from broker.store.parking import AnyTicket, Parking
from broker.store.rounds import Round, run_woken
from broker.store.transaction import Lost, Ran, Torn, Transaction
from broker.store.tx import Effects, Tx
from wire.clock import Clock
from wire.errors import Full, Internal

__all__ = ["Batch", "Command", "Group", "Job", "Outcome", "Settlement", "Submission", "Ticket", "Withdrawal"]

NextDue = Callable[[Tx], int | None]
"""Reads the earliest instant at which something is due; None: nothing is."""

DUE_RETRY_MS: Final = 1000
"""Asked again after this long, if the next due time could not be read."""


class Group:
    """Commits jobs together, and keeps the tickets that wait. Used by one thread at a time."""

    def __init__(self, database: Database, clock: Clock, next_due: NextDue) -> None:
        self._database = database
        self._clock = clock
        self._next_due = next_due
        self._parking = Parking()
        self._due: Outcome[int | None] | None = None
        """What `next_due` said after the last change; None: not asked yet."""

    @property
    def parked(self) -> dict[str, list[AnyTicket]]:
        """The waiting tickets of each agent, oldest first; not to be changed."""
        return self._parking.by_agent

    def commit(self, jobs: Sequence[Submission]) -> Batch:
        """Run jobs in their order, then the waiting tickets of whoever they woke, and commit it all.

        Raises nothing for what a command or the disk does; that is in the outcomes.
        """
        now_ms = self._clock.now_ms()
        lately = Round(self._parking)
        try:
            try:
                batch = self._transact(lately, jobs, wake=True, savepoints=False)
            except Torn:
                lately = Round(self._parking)
                batch = self._transact(lately, jobs, wake=True)
        except Lost as lost:
            if isinstance(lost.answer, Full):
                self._database.reclaim(now_ms)
            batch = self._salvage(lately, jobs, lost)
        batch.settled += [Settlement(ticket, Outcome()) for ticket in self._parking.take_overdue(now_ms)]
        batch.due_ms = self._earliest(now_ms)
        self._database.watch_wal(now_ms)
        return batch

    def _transact(self, attempt: Round, jobs: Sequence[Submission], *, wake: bool, savepoints: bool = True) -> Batch:
        database, now_ms = self._database, self._clock.now_ms()
        with Transaction(database.connection, database.queries, now_ms, savepoints=savepoints) as transaction:
            for job in jobs:
                attempt.take(transaction, job)
            if wake:
                attempt.wake(transaction)
            due = self._due
            if due is None or due.error or attempt.wrote or attempt.effects.due:
                due = transaction.run(self._next_due).outcome
        self._due = due
        attempt.make_true()
        return Batch([Settlement(job, outcome) for job, outcome in attempt.settled.items()], attempt.effects)

    def _earliest(self, now_ms: int) -> int | None:
        due = self._due.value if self._due else None
        if self._due is None or self._due.error:
            due = now_ms + DUE_RETRY_MS
        return min((instant for instant in (due, self._parking.next_end_ms()) if instant is not None), default=None)

    def _salvage(self, lately: Round, jobs: Sequence[Submission], lost: Lost) -> Batch:
        batch = Batch()
        for job in jobs:
            if isinstance(job, Withdrawal):
                self._settle(batch, job.ticket, Outcome())
            elif job not in lately.ran:
                error = lost.answer if job is lately.running else lost.for_others
                batch.settled.append(Settlement(job, Outcome(error=error)))
            elif job in lately.settled and isinstance(lately.settled[job].error, Internal):
                batch.settled.append(Settlement(job, lately.settled[job]))
            else:
                self._redo(batch, job)
        # Tickets that had found something wait again; the one that failed fails alone, and is told so then.
        again = {job.agent for job in (*lately.ran, lately.running) if isinstance(job, Ticket)}
        run_woken(again | batch.effects.woken, self._parking.of, lambda ticket: self._redo(batch, ticket))
        return batch

    def _settle(self, batch: Batch, ticket: AnyTicket, outcome: Outcome[Any]) -> None:
        if self._parking.remove(ticket):
            batch.settled.append(Settlement(ticket, outcome))

    def _redo(self, batch: Batch, job: AnyJob) -> Ran[Any]:
        """Run one job in a transaction of its own, without waking anybody in it."""
        attempt = Round(self._parking)
        try:
            alone = self._transact(attempt, [job], wake=False)
        except Lost as lost:
            if isinstance(job, Ticket):
                self._parking.remove(job)
            alone = Batch([Settlement(job, Outcome(error=lost.answer))], Effects())
        batch.settled += alone.settled
        batch.effects.add(alone.effects)
        outcome = alone.settled[0].outcome if alone.settled else Outcome[Any]()
        return Ran(outcome, alone.effects, attempt.wrote)
