"""Acts of a `FakeOffice` as commands on their way: made, committed, and how they ended."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from broker.store.group import Command, Job, Outcome, Ticket, Withdrawal
from broker.store.tx import Tx

if TYPE_CHECKING:
    from tests.fakes.office import FakeOffice

T = TypeVar("T")
P = ParamSpec("P")


class Call(Generic[T]):
    """A command on its way through an office, and how it ended."""

    def __init__(self, office: "FakeOffice", command: Command[T]) -> None:
        self.outcome: Outcome[T] | None = None
        """None until it was committed; a parked one, until it was settled."""
        self.statements = 0
        """How many its last run issued."""
        self._office = office
        self._command = command
        self.submission: Job[Any] = Job(self._run, self._settle)

    def parked(self, agent: str, wait_s: float) -> "Call[T]":
        """Make it wait for mail of an agent, for so long from now at most."""
        until_ms = self._office.clock.now_ms() + int(wait_s * 1000)
        self.submission = Ticket(self._run, self._settle, agent, until_ms)
        return self

    @property
    def waits(self) -> bool:
        """Say whether it is still parked."""
        return self.outcome is None

    def get(self) -> T:
        """Give its value.

        Raises:
            QueenpostError: it was refused.
        """
        assert self.outcome is not None, "it is still parked, or was never committed"
        return self.outcome.get()

    def withdraw(self) -> None:
        """Wait no longer."""
        assert isinstance(self.submission, Ticket)
        self._office.submit(Withdrawal(self.submission))

    def _run(self, tx: Tx) -> T:
        try:
            return self._command(tx)
        finally:
            self.statements = tx.statements

    def _settle(self, outcome: Outcome[Any]) -> None:
        assert self.outcome is None, "a job is settled once"
        self.outcome = outcome


class Verb(Generic[P, T]):
    """One act of an office: called, it is committed at once."""

    def __init__(self, office: "FakeOffice", make: Callable[P, Command[T]]) -> None:
        self._office = office
        self._make = make

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Commit it alone and give its value, or raise what it was refused with."""
        call = self.call(*args, **kwargs)
        self._office.commit(call)
        return call.get()

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """Make it, to be committed later."""
        return Call(self._office, self._make(*args, **kwargs))


class Act(Generic[P, T]):
    """Turns a method that makes a command into a `Verb`."""

    def __init__(self, make: "Callable[Concatenate[FakeOffice, P], Command[T]]") -> None:
        self._make: Callable[..., Command[T]] = make
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, office: None, owner: type) -> "Act[P, T]": ...
    @overload
    def __get__(self, office: "FakeOffice", owner: type) -> Verb[P, T]: ...
    def __get__(self, office: "FakeOffice | None", owner: type) -> "Act[P, T] | Verb[P, T]":
        return self if office is None else Verb(office, partial(self._make, office))
