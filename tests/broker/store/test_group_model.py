"""Any mix of jobs, failures and time, against a list in memory of what was acknowledged."""

import dataclasses
from collections import Counter
from contextlib import closing
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.store.database import memory_database
from broker.store.group import Batch, Group, Job, Submission, Ticket, Withdrawal
from broker.store.tx import Tx
from tests.broker.store.letters import FIRST, job, letter_queries, refused, send, take, ticket
from wire.clock import FakeClock

Act = Literal["send", "refused", "crash", "full", "open", "greedy", "withdraw"]
AGENTS = ("anna", "bert")


@dataclasses.dataclass(frozen=True)
class Step:
    """One thing that somebody asks of the group."""

    act: Act
    agent: str
    number: int


STEPS = st.builds(
    Step,
    # Losing the transaction is rarer than the rest, else nothing ever survives the first attempt.
    st.sampled_from(["send", "send", "open", "open", "refused", "crash", "withdraw", "full", "greedy"]),
    st.sampled_from(AGENTS),
    st.integers(0, 9),
)
BATCHES = st.lists(st.tuples(st.lists(STEPS, max_size=6), st.integers(0, 400)), max_size=8)


class Model:
    """What has to be true of a group, kept beside it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.database = memory_database(letter_queries(), [FIRST])
        self.group = Group(self.database, self.clock, lambda tx: None)
        self.tickets: list[Ticket[Any]] = []
        self.submitted: list[Job[Any]] = []
        self.settled: Counter[Job[Any]] = Counter()
        self.bodies: list[str] = []
        """What was acknowledged as stored and not handed over."""

    def submission(self, step: Step) -> Submission | None:
        """Make what a step asks for."""
        body = f"letter {len(self.submitted)}"
        if step.act == "withdraw":
            return Withdrawal(self.tickets[step.number % len(self.tickets)]) if self.tickets else None
        if step.act in {"open", "greedy"}:
            made: Job[Any] = ticket(step.agent, until_ms=self.clock.now_ms() + step.number * 100)
            if step.act == "greedy":
                made.command = greedy(step.agent)
            self.tickets.append(made)
        else:
            command = {"send": send, "refused": refused, "crash": crash, "full": full}[step.act]
            made = job(command(step.agent, body))
        self.submitted.append(made)
        return made

    def commit(self, steps: list[Step]) -> None:
        """Commit some steps and check everything."""
        made = [self.submission(step) for step in steps]
        batch = self.group.commit([submission for submission in made if submission is not None])
        self._learn(batch)
        rows = self.database.connection.execute(self.database.queries["letters.all"]).fetchall()
        assert sorted(row["body"] for row in rows) == sorted(self.bodies)
        assert all(count == 1 for count in self.settled.values())
        parked = {waiting for tickets in self.group.parked.values() for waiting in tickets}
        assert parked == set(self.submitted) - set(self.settled)
        assert all(waiting.until_ms > self.clock.now_ms() for waiting in parked)
        # No agent with mail is left asleep.
        assert not {row["recipient"] for row in rows} & {waiting.agent for waiting in parked}
        assert not self.database.connection.in_transaction

    def _learn(self, batch: Batch) -> None:
        self.settled.update(settled for settled, _ in batch.settled)
        for _, fields in batch.effects.logs:
            self.bodies.append(fields["body"])
        for settled, outcome in batch.settled:
            if isinstance(settled, Ticket) and outcome.value is not None:
                self.bodies.remove(outcome.value)


def crash(agent: str, body: str) -> Any:
    """Make a command that adds a letter and then meets a defect of ours."""

    def command(tx: Tx) -> None:
        send(agent, body)(tx)
        raise ZeroDivisionError

    return command


def greedy(agent: str) -> Any:
    """Make a ticket's command that fills the disk as soon as it finds something."""

    def command(tx: Tx) -> None:
        if take(agent)(tx) is not None:
            full(agent, "more")(tx)

    return command


def full(agent: str, body: str) -> Any:
    """Make a command that needs more space than there is; SQLite takes the whole transaction back."""

    def command(tx: Tx) -> None:
        send(agent, body)(tx)
        send(agent, "x" * 1_000_000)(tx)

    return command


@settings(max_examples=150, deadline=None)
@given(batches=BATCHES)
def test_what_was_acknowledged_is_exactly_what_is_stored(batches: list[tuple[list[Step], int]]) -> None:
    """Reliability 4.3, 1, 2 and 18 for this engine; every job is settled exactly once."""
    model = Model()
    model.database.connection.execute("PRAGMA max_page_count = 100")
    with closing(model.database):
        for steps, wait_ms in batches:
            model.commit(steps)
            model.clock.advance(wait_ms)
            model.commit([])
