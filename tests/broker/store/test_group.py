"""Group commit: order, isolation, tickets. What happens when the disk fails is in `test_group_losses`."""

import logging

import pytest

from broker.store.database import Database
from broker.store.group import Group, Outcome, Withdrawal
from broker.store.tx import Tx
from tests.broker.store.letters import fields_of, job, refused, send, take, ticket, values
from wire.clock import FakeClock
from wire.errors import Conflict


def bodies(database: Database) -> list[str]:
    """Every letter that is stored."""
    return [row["body"] for row in database.connection.execute(database.queries["letters.all"])]


def test_jobs_run_in_their_order_and_share_one_commit(group: Group, database: Database, statements: list[str]) -> None:
    """DESIGN 6: one BEGIN IMMEDIATE and one COMMIT for all of them [H13]."""
    batch = group.commit([job(send("anna", body)) for body in ("one", "two", "three")])
    assert values(batch) == [1, 2, 3]
    assert bodies(database) == ["one", "two", "three"]
    assert statements.count("COMMIT") == 1
    assert statements[0].startswith("BEGIN IMMEDIATE")


def test_a_refused_command_is_undone_alone(group: Group, database: Database) -> None:
    """DESIGN 6: each command is in a savepoint."""
    batch = group.commit([job(send("anna", "one")), job(refused("anna", "two")), job(send("anna", "three"))])
    assert values(batch) == [1, "conflict", 2]
    assert bodies(database) == ["one", "three"]


def test_a_command_that_is_refused_before_it_wrote_costs_no_savepoint(group: Group, statements: list[str]) -> None:
    """Ours: there is nothing to undo; this is how nearly every refusal goes."""

    def picky(tx: Tx) -> int:
        tx.one("letters.all")
        raise Conflict("taken")

    statements.clear()
    batch = group.commit([job(send("anna", "one")), job(picky), job(send("anna", "two"))])
    assert values(batch) == [1, "conflict", 2]
    assert sum(statement.startswith("BEGIN") for statement in statements) == 1
    assert not [statement for statement in statements if "SAVEPOINT" in statement]


def test_a_batch_with_a_command_that_fails_half_way_runs_again_with_savepoints(
    group: Group, database: Database, statements: list[str]
) -> None:
    """DESIGN 6: the others do not notice: one commit, their results, and their effects once."""
    statements.clear()
    batch = group.commit([job(send("anna", "one")), job(refused("anna", "two"))])
    assert values(batch) == [1, "conflict"]
    assert batch.effects.logs == [("letter_added", {"body": "one"})]
    assert bodies(database) == ["one"]
    assert [word for word in map(first_word, statements) if word in {"BEGIN", "ROLLBACK", "COMMIT", "SAVEPOINT"}] == [
        "BEGIN", "ROLLBACK", "BEGIN", "SAVEPOINT", "SAVEPOINT", "ROLLBACK", "SAVEPOINT", "COMMIT",
    ]  # fmt: skip


def first_word(statement: str) -> str:
    """Give the verb of a statement."""
    return statement.split(maxsplit=1)[0]


def test_effects_of_a_refused_command_vanish(group: Group) -> None:
    """Ours: nobody is woken for, and no log tells of, what was not stored."""
    batch = group.commit([job(refused("bert", "two")), job(send("anna", "one"))])
    assert batch.effects.woken == {"anna"}
    assert batch.effects.logs == [("letter_added", {"body": "one"})]


def test_a_defect_is_undone_logged_and_shows_no_detail(
    group: Group, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """DESIGN 4: `internal` hides detail from the peer and logs it with a correlation id."""

    def broken(tx: Tx) -> int:
        send("anna", "half")(tx)
        raise ZeroDivisionError("the secret detail")

    batch = group.commit([job(broken), job(send("anna", "one"))])
    error = batch.settled[0].outcome.error
    assert error is not None
    assert error.code == "internal"
    assert "secret" not in error.message
    assert error.details["correlation_id"] in error.message
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert fields_of(record) == {"correlation_id": error.details["correlation_id"]}
    assert record.exc_info is not None
    assert bodies(database) == ["one"]


def test_a_violated_constraint_is_a_defect_of_its_command_alone(group: Group, database: Database) -> None:
    """Ours: a CHECK that the command did not expect."""
    batch = group.commit([job(send("anna", "one")), job(send("", "nobody's")), job(send("anna", "two"))])
    assert values(batch) == [1, "internal", 2]
    assert bodies(database) == ["one", "two"]


def test_an_outcome_gives_the_value_or_raises_the_error() -> None:
    """Ours."""
    assert Outcome(3).get() == 3
    with pytest.raises(Conflict, match="taken"):
        Outcome[int](error=Conflict("taken")).get()


def test_one_transaction_has_one_instant(group: Group, clock: FakeClock) -> None:
    """Style 26."""

    def tick(tx: Tx) -> int:
        clock.advance(5)
        return tx.now_ms

    start = clock.now_ms()
    assert values(group.commit([job(tick), job(tick)])) == [start, start]


def test_a_ticket_that_finds_something_is_settled_at_once(group: Group) -> None:
    """DESIGN 5.2."""
    group.commit([job(send("anna", "one"))])
    assert values(group.commit([ticket("anna")])) == ["one"]
    assert group.parked == {}


def test_a_ticket_that_finds_nothing_is_parked_and_writes_nothing(group: Group, database: Database) -> None:
    """DESIGN 5.2: an open that finds nothing writes nothing."""
    group.commit([])
    before = database.wal_bytes()
    waiting = ticket("anna")
    assert group.commit([waiting]).settled == []
    assert group.parked == {"anna": [waiting]}
    assert database.wal_bytes() == before


def test_a_send_and_the_lease_it_causes_share_one_commit(group: Group, statements: list[str]) -> None:
    """DESIGN 5.2: a parked open is run again by the writer in the same batch after the sends."""
    waiting = ticket("anna")
    group.commit([waiting])
    statements.clear()
    batch = group.commit([job(send("anna", "one")), job(send("bert", "two"))])
    assert [settlement.job for settlement in batch.settled][-1] is waiting
    assert values(batch) == [1, 2, "one"]
    assert statements.count("COMMIT") == 1
    assert group.parked == {}


def test_a_ticket_submitted_before_its_mail_in_one_batch_gets_it(group: Group) -> None:
    """Ours: the ticket is parked and woken within one transaction."""
    assert values(group.commit([ticket("anna"), job(send("anna", "one"))])) == [1, "one"]
    assert group.parked == {}


def test_one_letter_settles_one_of_two_tickets_the_older_one(group: Group) -> None:
    """Ours: tickets of one agent are served in the order in which they were parked."""
    older, younger = ticket("anna"), ticket("anna")
    group.commit([older, younger])
    batch = group.commit([job(send("anna", "one"))])
    assert [settlement.job for settlement in batch.settled][1:] == [older]
    assert group.parked == {"anna": [younger]}


def test_only_tickets_of_woken_agents_are_run_again(group: Group, statements: list[str]) -> None:
    """Ours: a thousand parked agents cost a send nothing."""
    group.commit([ticket("anna"), ticket("bert")])
    statements.clear()
    group.commit([job(send("bert", "one"))])
    assert len([text for text in statements if "DELETE" in text]) == 1


def test_a_ticket_whose_command_is_refused_gets_the_error(group: Group) -> None:
    """Ours: e.g. its epoch ended while it waited."""
    mails = [None, Conflict("fenced")]

    def opens(tx: Tx) -> str | None:
        mail = mails.pop(0)
        if mail is not None:
            raise mail
        return mail

    waiting = ticket("anna")
    waiting.command = opens
    group.commit([waiting])
    assert values(group.commit([job(send("anna", "one"))])) == [1, "conflict"]
    assert group.parked == {}


def test_a_ticket_that_was_served_may_wake_another_agent(group: Group) -> None:
    """Ours: wakes are followed until nobody new is woken."""

    def forward(tx: Tx) -> str | None:
        body = take("anna")(tx)
        if body is not None:
            send("bert", body)(tx)
        return body

    forwarding = ticket("anna")
    forwarding.command = forward
    group.commit([ticket("bert"), forwarding])
    assert values(group.commit([job(send("anna", "one"))])) == [1, "one", "one"]


def test_a_ticket_that_waits_on_may_wake_another_agent(group: Group) -> None:
    """Ours: e.g. it put mail aside that another one was blocked by."""
    put_aside = ticket("anna")
    put_aside.command = lambda tx: tx.woke("zoe")
    answers = [None, None, "something"]
    blocked = ticket("zoe")
    blocked.command = lambda _: answers.pop(0)
    group.commit([blocked])
    group.commit([put_aside])
    assert values(group.commit([job(send("anna", "one"))])) == [1, "something"]


def test_two_tickets_that_wake_each_other_in_vain_come_to_an_end(group: Group) -> None:
    """Ours: a wake without mail is followed once."""
    tickets = [ticket("anna"), ticket("bert")]
    for waiting, other in zip(tickets, ("bert", "anna"), strict=True):
        waiting.command = lambda tx, other=other: tx.woke(other)
    group.commit(tickets)
    assert group.commit([job(send("anna", "one"))]).settled[0].outcome.value == 1
    assert sorted(group.parked) == ["anna", "bert"]


def test_a_withdrawn_ticket_is_settled_with_nothing_once(group: Group) -> None:
    """Ours: exactly one settlement ever."""
    waiting = ticket("anna")
    group.commit([waiting])
    assert values(group.commit([Withdrawal(waiting), Withdrawal(waiting)])) == [None]
    assert group.commit([Withdrawal(waiting)]).settled == []
    assert values(group.commit([job(send("anna", "one"))])) == [1]


def test_withdrawing_a_settled_ticket_does_nothing(group: Group) -> None:
    """Ours: cancel after commit has no effect and the result is still sent (DESIGN 4)."""
    waiting = ticket("anna")
    group.commit([waiting])
    group.commit([job(send("anna", "one"))])
    assert group.commit([Withdrawal(waiting)]).settled == []


def test_a_withdrawal_after_a_send_in_one_batch_leaves_the_mail_where_it_is(group: Group, database: Database) -> None:
    """Ours: tickets are run again after all jobs, and this one is gone by then."""
    waiting = ticket("anna")
    group.commit([waiting])
    batch = group.commit([job(send("anna", "one")), Withdrawal(waiting)])
    assert values(batch) == [1, None]
    assert bodies(database) == ["one"]


def test_a_ticket_is_settled_with_nothing_when_its_time_is_up(group: Group, clock: FakeClock) -> None:
    """DESIGN 5.2: an open waits at most 180 s."""
    waiting = ticket("anna", until_ms=clock.now_ms() + 1000)
    assert group.commit([waiting]).due_ms == waiting.until_ms
    clock.advance(999)
    assert group.commit([]).settled == []
    clock.advance(1)
    batch = group.commit([])
    assert [settlement.job for settlement in batch.settled] == [waiting]
    assert values(batch) == [None]
    assert batch.due_ms is None
    assert group.parked == {}


def test_a_ticket_without_patience_is_settled_in_its_own_commit(group: Group, clock: FakeClock) -> None:
    """Ours: `until_ms` may be now."""
    assert values(group.commit([ticket("anna", until_ms=clock.now_ms())])) == [None]


def test_mail_that_comes_in_the_last_moment_is_still_handed_over(group: Group, clock: FakeClock) -> None:
    """Ours: the woken tickets come before the overdue ones."""
    group.commit([ticket("anna", until_ms=clock.now_ms() + 1)])
    clock.advance(1)
    assert values(group.commit([job(send("anna", "one"))])) == [1, "one"]


def test_the_next_due_time_is_read_after_every_change_and_on_demand(database: Database, clock: FakeClock) -> None:
    """DESIGN 5.8: one due-timer, computed again after each batch that changed something."""
    asked: list[int] = []

    def next_due(tx: Tx) -> int | None:
        asked.append(tx.now_ms)
        row = tx.one("letters.oldest")
        return None if row is None else row["id"]

    group = Group(database, clock, next_due)
    assert group.commit([]).due_ms is None
    assert group.commit([job(send("anna", "one"))]).due_ms == 1
    assert group.commit([job(lambda tx: tx.one("letters.all"))]).due_ms == 1
    assert len(asked) == 2
    assert group.commit([job(lambda tx: tx.revise_due())]).due_ms == 1
    assert len(asked) == 3


def test_a_due_time_that_cannot_be_read_is_asked_for_again(database: Database, clock: FakeClock) -> None:
    """Ours: the commit stands, and no agent is left asleep for want of a timer."""
    answers: list[int | None] = [None, 77]

    def next_due(tx: Tx) -> int | None:
        answer = answers.pop(0)
        if answer is None:
            raise ZeroDivisionError
        return answer

    group = Group(database, clock, next_due)
    batch = group.commit([job(send("anna", "one"))])
    assert values(batch) == [1]
    assert batch.due_ms == clock.now_ms() + 1000
    assert group.commit([]).due_ms == 77
