"""One transaction of the writing connection: commands go in one by one, and one that fails leaves nothing behind.

A savepoint for each costs a tenth of all the work, and hardly a command fails after it has written. So there are
none at first: such a failure ends the transaction as `Torn`, to be run again with savepoints. It knows nothing of
jobs and tickets. Either it was committed, or `Lost` or `Torn` is raised and nothing was stored.
"""

import sqlite3
from collections.abc import Callable
from types import TracebackType
from typing import Final, Generic, NamedTuple, TypeVar

from broker.store.jobs import Outcome
from broker.store.refusals import RETRY, refusal
from broker.store.sql import Queries
from broker.store.tx import Effects, Tx
from wire.errors import Full, QueenpostError, Unavailable

T = TypeVar("T")

BEGIN: Final = "BEGIN IMMEDIATE"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
SAVEPOINT: Final = "SAVEPOINT command"
UNDO: Final = "ROLLBACK TO command"
RELEASE: Final = "RELEASE command"


class Lost(Exception):
    """The whole transaction is gone, with what its earlier commands had done."""

    def __init__(self, cause: Exception) -> None:
        self.answer = refusal(cause)
        """For the job that failed."""
        self.for_others: QueenpostError = Unavailable(f"another request failed, so this was not stored; {RETRY}")
        """For those whose commands are not run again."""
        if isinstance(self.answer, Full | Unavailable):
            self.for_others = self.answer
        super().__init__(self.answer.message)


class Torn(Exception):
    """A command failed after it had written, and there was no savepoint: nothing was stored, run them all again."""


class Ran(NamedTuple, Generic[T]):
    """How a command ended inside of its transaction, which is not yet committed."""

    outcome: Outcome[T]
    effects: Effects
    wrote: bool


class Transaction:
    """A context manager: BEGIN IMMEDIATE on entry, COMMIT on exit, ROLLBACK if the body raised."""

    def __init__(
        self, connection: sqlite3.Connection, queries: Queries, now_ms: int, *, savepoints: bool = True
    ) -> None:
        self._connection = connection
        self._queries = queries
        self._savepoints = savepoints
        self._control = connection.cursor()
        self.now_ms = now_ms

    def __enter__(self) -> "Transaction":
        """Take the write lock.

        Raises:
            Lost: somebody else holds it, or the disk fails.
        """
        try:
            self._control.execute(BEGIN)
        except sqlite3.Error as exc:
            raise Lost(exc) from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit; durable once this returns.

        Raises:
            Lost: the commit failed, and was undone.
        """
        try:
            if error is None:
                self._control.execute(COMMIT)
        except sqlite3.Error as exc:
            raise Lost(exc) from exc
        finally:
            # SQLite does so by itself after a full disk or a failed write, but not after e.g. a busy commit.
            if self._connection.in_transaction:
                self._control.execute(ROLLBACK)

    def run(self, command: Callable[[Tx], T]) -> Ran[T]:
        """Run a command; an error undoes just this one and is its outcome.

        Raises:
            Torn: it could not be undone alone. Lost: the error took the whole transaction with it.
        """
        tx = Tx(self._connection, self._queries, self.now_ms)
        before = self._connection.total_changes
        try:
            if self._savepoints:
                self._control.execute(SAVEPOINT)
            value = command(tx)
            tx.end()
            if self._savepoints:
                self._control.execute(RELEASE)
        except Exception as exc:  # noqa: BLE001  # whatever it is, it is this command's outcome; `refusal` logs it
            tx.end()
            return Ran(Outcome(error=self._undo(exc, before)), Effects(), wrote=False)
        return Ran(Outcome(value), tx.effects, self._connection.total_changes != before)

    def _undo(self, error: Exception, changes_before: int) -> QueenpostError:
        try:
            if self._connection.in_transaction:
                if not self._savepoints:
                    if self._connection.total_changes != changes_before:
                        raise Torn from error
                    return refusal(error)
                self._control.execute(UNDO)
                self._control.execute(RELEASE)
                return refusal(error)
        except sqlite3.Error as exc:
            raise Lost(error) from exc
        raise Lost(error) from error
