"""When SQLite takes the whole transaction back: no reply was a lie, and what can be kept is kept."""

import resource
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.store.database import Database, open_database
from broker.store.group import Batch, Command, Group, Withdrawal
from broker.store.tx import Tx
from tests.broker.store.letters import FIRST, job, letter_queries, refused, send, take, ticket, values
from wire.clock import FakeClock

BIG = "x" * 400_000


def limit_pages(database: Database, more: int) -> None:
    """Let the database grow by this many pages and no further: a full disk, at a place of our choosing."""
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count = {pages + more}")


@contextmanager
def writes_fail_beyond(size: int) -> Generator[None]:
    """Let every write behind this place of any file fail: the commit writes to the WAL and meets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def stored(path: Path, clock: FakeClock) -> list[str]:
    """Open the database anew, as after a restart, and give every letter in it."""
    with open_database(path, clock, queries=letter_queries(), migrations=[FIRST]) as again:
        return [row["body"] for row in again.connection.execute(again.queries["letters.all"])]


def test_a_full_disk_in_the_middle_of_a_batch_keeps_exactly_what_was_acknowledged(
    group: Group, database: Database, path: Path, clock: FakeClock, statements: list[str]
) -> None:
    """DESIGN 6: the commands that had succeeded are run again once, each alone, the rest get `full`."""
    limit_pages(database, 2)
    bodies = ["one", "two", BIG, "four"]
    statements.clear()
    batch = group.commit([job(send("anna", body)) for body in bodies])
    assert values(batch) == [1, 2, "full", "full"]
    assert statements.count("COMMIT") == 2
    assert batch.effects.woken == {"anna"}
    assert [fields["body"] for _, fields in batch.effects.logs] == ["one", "two"]
    database.close()
    assert stored(path, clock) == ["one", "two"]


def test_a_command_that_had_succeeded_is_run_again_once_only(group: Group, database: Database) -> None:
    """Ours: twice in all, whatever the second run brings."""
    runs: list[str] = []

    def counted(tx: Tx) -> int:
        runs.append("run")
        return send("anna", "one")(tx)

    limit_pages(database, 2)
    group.commit([job(counted), job(send("anna", BIG))])
    assert len(runs) == 2


def test_refusals_are_decided_again_and_defects_are_not(group: Group, database: Database) -> None:
    """Ours: a refusal may have depended on a command that is gone now; a crash is not repeated."""
    crashes: list[str] = []

    def crash(_: Tx) -> None:
        crashes.append("crash")
        raise ZeroDivisionError

    limit_pages(database, 2)
    batch = group.commit([job(refused("anna", "one")), job(crash), job(send("anna", BIG))])
    assert values(batch) == ["conflict", "internal", "full"]
    assert crashes == ["crash"]


def test_the_broker_works_on_when_there_is_space_again(group: Group, database: Database) -> None:
    """Reliability 7: recovers without a restart."""
    limit_pages(database, 2)
    assert values(group.commit([job(send("anna", BIG))])) == ["full"]
    limit_pages(database, 1000)
    assert values(group.commit([job(send("anna", BIG))])) == [1]


def test_the_message_says_what_to_do(group: Group, database: Database) -> None:
    """Style 12."""
    limit_pages(database, 2)
    error = group.commit([job(send("anna", BIG))]).settled[0].outcome.error
    assert error is not None
    assert "free disk space" in error.message
    assert "same key is safe" in error.message


def test_a_commit_that_fails_is_no_commit(group: Group, database: Database, path: Path, clock: FakeClock) -> None:
    """DESIGN 6: all had succeeded, so each is tried alone; only the one too big for the disk fails."""
    with writes_fail_beyond(database.wal_bytes() + 100_000):
        batch = group.commit([job(send("anna", "one")), job(send("anna", BIG)), job(send("anna", "three"))])
    assert values(batch) == [1, "unavailable", 2]
    database.close()
    assert stored(path, clock) == ["one", "three"]


def test_a_commit_that_fails_by_a_defect_is_internal_for_the_guilty_alone(group: Group, database: Database) -> None:
    """Ours: a deferred foreign key is only checked at COMMIT."""

    def refers_to_nothing(tx: Tx) -> int:
        return tx.run("letters.refer", letter=99)

    batch = group.commit([job(send("anna", "one")), job(refers_to_nothing), job(send("anna", "three"))])
    assert values(batch) == [1, "internal", 2]
    assert not database.connection.in_transaction


def test_a_lock_that_somebody_else_holds_stores_nothing(group: Group, database: Database, path: Path) -> None:
    """Ours: e.g. a person with a database shell. Withdrawals need no database."""
    waiting, other = ticket("anna"), ticket("bert")
    group.commit([waiting, other])
    database.connection.execute("PRAGMA busy_timeout = 0")
    stranger = sqlite3.connect(path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    batch = group.commit([job(send("anna", "one")), Withdrawal(waiting)])
    assert values(batch) == ["unavailable", None]
    assert group.parked == {"bert": [other]}
    stranger.close()
    assert values(group.commit([job(send("bert", "two"))])) == [1, "two"]


def test_a_command_that_ends_the_transaction_is_caught(group: Group) -> None:
    """Ours: it would store half of a batch; its neighbours are run again."""
    batch = group.commit([job(refused("anna", "one")), job(lambda tx: tx.run("letters.end"))])
    assert values(batch) == ["conflict", "internal"]


def test_tickets_settled_in_a_lost_transaction_wait_again_and_are_run_again(
    group: Group, database: Database, path: Path, clock: FakeClock
) -> None:
    """Ours: their mail is still there once the sends were run again; nothing is handed over twice or lost."""
    anna, bert = ticket("anna"), ticket("bert")
    group.commit([anna, bert])
    spoils = ticket("zoe")
    group.commit([spoils])
    spoils.command = fill_the_disk
    limit_pages(database, 2)
    batch = group.commit([job(send("anna", "one")), job(send("zoe", "two")), job(send("bert", "three"))])
    assert outcomes_by_agent(batch) == {"anna": "one", "bert": "three", "zoe": "full"}
    assert values(batch)[:3] == [1, 2, 3]
    assert group.parked == {}
    database.close()
    assert stored(path, clock) == ["two"]


def test_a_served_ticket_is_run_again_even_if_nobody_wakes_it(group: Group, database: Database) -> None:
    """Ours: what it had found may have been there before."""
    group.commit([job(send("anna", "one"))])
    answers = [None, "found", "found"]
    wakes = ["anna"]

    def wakes_once(tx: Tx) -> None:
        for agent in wakes:
            tx.woke(agent)
        wakes.clear()

    waiting = ticket("anna")
    waiting.command = lambda _: answers.pop(0)
    group.commit([waiting])
    spoils = ticket("bert")
    group.commit([spoils])
    spoils.command = fill_the_disk
    wakes.append("bert")
    limit_pages(database, 2)
    batch = group.commit([job(wakes_once)])
    assert outcomes_by_agent(batch) == {"anna": "found", "bert": "full"}


def test_a_ticket_that_fails_for_good_is_told_so(group: Group, database: Database) -> None:
    """Ours: no caller waits for a settlement that never comes."""
    waiting = ticket("anna")
    group.commit([waiting])
    waiting.command = fill_the_disk
    limit_pages(database, 2)
    assert values(group.commit([job(send("anna", "one"))])) == [1, "full"]
    assert group.parked == {}


def test_a_ticket_that_parked_in_a_lost_transaction_is_parked(group: Group, database: Database) -> None:
    """Ours: it came before the failure, so its wait counts."""
    limit_pages(database, 2)
    waiting, late = ticket("anna"), ticket("anna")
    assert values(group.commit([waiting, job(send("bert", BIG)), late])) == ["full", "full"]
    assert group.parked == {"anna": [waiting]}


def test_a_served_ticket_whose_redo_wakes_another_is_followed(group: Group, database: Database) -> None:
    """Ours: no agent with mail is left asleep, not even on this path."""

    def forward(tx: Tx) -> str | None:
        body = take("anna")(tx)
        return body if body is None else str(send("zoe", body)(tx))

    forwarding, last = ticket("anna"), ticket("zoe")
    forwarding.command = forward
    group.commit([forwarding, last])
    limit_pages(database, 2)
    batch = group.commit([job(send("anna", "one")), job(send("bert", BIG))])
    assert outcomes_by_agent(batch) == {"anna": "1", "zoe": "one"}


def fill_the_disk(tx: Tx) -> str | None:
    """Be a ticket's command that needs more space than there is."""
    command: Command[int] = send("zoe", BIG)
    return str(command(tx))


def outcomes_by_agent(batch: Batch) -> dict[str, str]:
    """Give what each settled ticket got."""
    found: dict[str, str] = {}
    for settled, outcome in batch.settled:
        agent = getattr(settled, "agent", None)
        if agent is not None:
            found[agent] = str(outcome.value) if outcome.error is None else outcome.error.code
    return found


@pytest.mark.parametrize("size", [1, 2, 7])
def test_every_job_is_settled_however_big_the_batch(group: Group, database: Database, size: int) -> None:
    """Ours."""
    limit_pages(database, 2)
    jobs = [job(send("anna", BIG if number == size // 2 else "small")) for number in range(size)]
    assert [settlement.job for settlement in group.commit(jobs).settled] == jobs
