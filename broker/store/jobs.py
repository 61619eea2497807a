"""What is handed to the writer and what comes back: jobs, parked tickets, withdrawals, outcomes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar, cast

from broker.store.tx import Effects, Tx
from wire.errors import QueenpostError

T = TypeVar("T")

Command = Callable[[Tx], T]
"""A plain synchronous function that changes nothing but the database. It may be run again."""


@dataclass(frozen=True)  # no slots: Python 3.11 cannot make a frozen generic one by `Outcome[int](…)`
class Outcome(Generic[T]):
    """How a command ended: a value, or the error it was refused with."""

    value: T | None = None
    error: QueenpostError | None = None

    def get(self) -> T:
        """Give the value.

        Raises:
            QueenpostError: the command was refused.
        """
        if self.error is not None:
            raise self.error
        return cast(T, self.value)


@dataclass(eq=False, slots=True)
class Job(Generic[T]):
    """A command, and who wants to know its outcome. Settled exactly once, after its commit."""

    command: Command[T]
    done: Callable[[Outcome[T]], None]


@dataclass(eq=False, slots=True)
class Ticket(Job[T | None]):
    """A job that waits while its command returns None: it is run again whenever its agent is woken."""

    agent: str
    until_ms: int
    """It is settled with None by the first commit at or after this instant."""


@dataclass(eq=False, slots=True)
class Withdrawal:
    """The wish that a ticket waits no longer: settles it with None, if it is still parked."""

    ticket: Ticket[Any]


AnyJob = Job[Any]
Submission = AnyJob | Withdrawal


class Settlement(NamedTuple):
    """A job and how it ended."""

    job: AnyJob
    outcome: Outcome[Any]


@dataclass(slots=True)
class Batch:
    """What a commit did."""

    settled: list[Settlement] = field(default_factory=list[Settlement])
    """In the order of the commands; woken and overdue tickets come last."""
    effects: Effects = field(default_factory=Effects)
    due_ms: int | None = None
    """The next instant at which something is due, as of the end of the batch; None: nothing is."""
