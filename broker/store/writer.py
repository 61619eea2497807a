"""The writer thread and the hand-over to it; the only file of the broker that knows asyncio.

Jobs are gathered while one turn of the loop lasts, then the thread is rung; it commits all that is there as
one batch and comes back with one `call_soon_threadsafe`. It does not know what a batch does; `group` does.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, TypeVar

import anyio

from broker.store.group import Batch, Command, Group, Job, Outcome, Submission, Ticket, Withdrawal
from broker.store.jobs import AnyJob
from broker.store.tx import Effects
from wire.errors import Unavailable
from wire.logs import get_logger

log = get_logger("store")

T = TypeVar("T")

BATCH_MAX: Final = 512
"""Jobs in one transaction: bounds how long the first of them waits for its commit."""
DRAIN_S: Final = 30.0
"""How long the exit waits for the last commits before it leaves the thread behind."""

STOPPING = "the broker is stopping; a retry with the same key is safe once it runs again"
BROKEN = "the broker's writer has stopped; restart the broker, then retry with the same key, which is safe"


class Writer:
    """Runs commands on its thread, in the order in which they were submitted; an async context manager.

    Every method is for the loop's thread. `on_effects`, `on_due` and then each `done` are called on the loop,
    after the commit; one that raises is logged and stops nothing. `on_told` gets the effects once more when the
    answers are on their way, for what nobody has to wait for. `on_broken` is called if the thread dies.
    """

    def __init__(
        self,
        group: Group,
        on_effects: Callable[[Effects], None],
        on_due: Callable[[int | None], None],
        on_broken: Callable[[], None] = lambda: None,
        on_told: Callable[[Effects], None] = lambda _: None,
    ) -> None:
        self._group = group
        self._on_effects = on_effects
        self._on_due = on_due
        self._on_broken = on_broken
        self._on_told = on_told
        self._jobs: deque[Submission] = deque()
        """Appended on the loop, taken on the thread. Bounded by what the connections may have in flight."""
        self._unsettled: dict[AnyJob, None] = {}
        """Every job that was accepted and not told its outcome, oldest first. Only the loop touches it."""
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._ringing = False
        self._refusal: str | None = None
        """Why nothing is accepted any more; set on the loop before the thread is told to end."""
        self._ended = anyio.Event()
        self._thread = threading.Thread(target=self._work, name="queenpost-writer", daemon=True)

    async def __aenter__(self) -> "Writer":
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what was submitted, refuse what is parked, end the thread."""
        self._refusal = self._refusal or STOPPING
        self._bell.put(None)
        with anyio.move_on_after(DRAIN_S, shield=True):
            await self._ended.wait()
            self._thread.join()
            return
        log.error("writer_left_behind", after_s=DRAIN_S)

    def submit(self, command: Command[T], done: Callable[[Outcome[T]], None]) -> None:
        """Run a command; `done` is told how it ended, after the commit."""
        self._accept(Job(command, done))

    def park(
        self, command: Command[T | None], agent: str, until_ms: int, done: Callable[[Outcome[T | None]], None]
    ) -> Ticket[T]:
        """Run a command now, and again whenever the agent is woken, until it gives something or time's up."""
        ticket = Ticket(command, done, agent, until_ms)
        self._accept(ticket)
        return ticket

    def withdraw(self, ticket: Ticket[Any]) -> None:
        """Settle a ticket with None if it still waits; what was committed for it is delivered as it is."""
        if self._refusal is None:
            self._queue(Withdrawal(ticket))

    async def run(self, command: Command[T]) -> T:
        """Run a command and wait for its commit. Cancelling the wait does not undo the commit.

        Raises:
            QueenpostError: the command was refused.
        """
        future: asyncio.Future[Outcome[T]] = self._loop.create_future()

        def done(outcome: Outcome[T]) -> None:
            if not future.done():
                future.set_result(outcome)

        self.submit(command, done)
        return (await future).get()

    def _accept(self, job: AnyJob) -> None:
        self._unsettled[job] = None
        if self._refusal is None:
            self._queue(job)
        else:
            self._loop.call_soon(self._settle, job, Outcome[Any](error=Unavailable(self._refusal)))

    def _queue(self, job: Submission) -> None:
        self._jobs.append(job)
        # Rung at the end of this turn of the loop, so that whatever is submitted in it shares one commit.
        if not self._ringing:
            self._ringing = True
            self._loop.call_soon(self._ring)

    def _ring(self) -> None:
        self._ringing = False
        self._bell.put(None)

    def _deliver(self, batch: Batch) -> None:
        _guarded(self._on_effects, batch.effects)
        _guarded(self._on_due, batch.due_ms)
        for job, outcome in batch.settled:
            self._settle(job, outcome)
        # In the next turn of the loop, behind the writes of this one.
        self._loop.call_soon(_guarded, self._on_told, batch.effects)

    def _settle(self, job: AnyJob, outcome: Outcome[Any]) -> None:
        if job in self._unsettled:
            del self._unsettled[job]
            _guarded(job.done, outcome)

    def _end(self, broken: bool) -> None:
        """The thread's last call, after its last batch."""
        self._refusal = self._refusal or BROKEN
        for job in list(self._unsettled):
            self._settle(job, Outcome(error=Unavailable(self._refusal)))
        if broken:
            _guarded(self._on_broken)
        self._ended.set()

    # On the thread from here on.

    def _work(self) -> None:
        broken = True
        try:
            self._commit_until_refused()
            broken = False
        except BaseException:
            log.exception("writer_died")
        try:
            self._loop.call_soon_threadsafe(self._end, broken)
        except RuntimeError:
            log.error("writer_outlived_its_loop")

    def _commit_until_refused(self) -> None:
        while self._jobs or self._refusal is None:
            self._bell.get()
            while jobs := self._take():
                self._loop.call_soon_threadsafe(self._deliver, self._group.commit(jobs))

    def _take(self) -> list[Submission]:
        return [self._jobs.popleft() for _ in range(min(len(self._jobs), BATCH_MAX))]


def _guarded(call: Callable[..., None], *arguments: Any) -> None:
    try:
        call(*arguments)
    except Exception:
        log.exception("callback_failed")
