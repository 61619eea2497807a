"""What a command can do with its transaction."""

import sqlite3
from collections.abc import Iterator

import pytest

from broker.store.database import Database
from broker.store.group import Group
from broker.store.tx import Row, Tx
from tests.broker.store.letters import job, send, values
from wire.clock import FakeClock
from wire.fleet import Push


@pytest.fixture
def tx(database: Database, clock: FakeClock) -> Tx:
    """A view of the connection, outside of any transaction."""
    return Tx(database.connection, database.queries, clock.now_ms())


def test_rows_are_read_by_name(tx: Tx) -> None:
    """Ours: `one` gives None where there is no row, `all` and `each` give nothing."""
    assert tx.one("letters.all") is None
    number = tx.insert("letters.add", recipient="anna", body="hello")
    row = tx.one("letters.all")
    assert row is not None
    assert (row["id"], row["body"]) == (number, "hello")
    assert [row["body"] for row in tx.all("letters.all")] == ["hello"]
    assert [row["body"] for row in tx.each("letters.all")] == ["hello"]


def test_every_statement_is_counted(tx: Tx) -> None:
    """DESIGN 6: a command issues at most 8 statements; tests of services count them."""
    tx.one("letters.all")
    tx.all("letters.all")
    tx.run("letters.rename", body="x")
    assert tx.statements == 3


def test_run_counts_rows_of_a_statement_that_begins_with_with(tx: Tx) -> None:
    """Known gap of sqlite3, closed here: its rowcount is -1 there."""
    for body in ("a", "b", "c"):
        tx.insert("letters.add", recipient="anna", body=body)
    assert tx.run("letters.rename", body="new") == 3
    assert tx.run("letters.take", recipient="nobody") == 0


def test_insert_that_inserts_nothing_is_a_defect(tx: Tx) -> None:
    """Ours: SQLite would give the rowid of some earlier insert."""
    assert tx.insert("letters.add_if_missing", id=7) == 7
    with pytest.raises(RuntimeError, match=r"letters\.add_if_missing inserted nothing"):
        tx.insert("letters.add_if_missing", id=7)


def test_what_each_left_open_is_closed_at_the_end_of_the_command(group: Group) -> None:
    """Ours: a statement that still reads would keep the WAL from being reused."""
    leaked: list[Iterator[Row]] = []

    def reads_half(tx: Tx) -> str:
        rows = tx.each("letters.all")
        leaked.append(rows)
        return next(rows)["body"]

    batch = group.commit([job(send("anna", "one")), job(send("anna", "two")), job(reads_half)])
    assert values(batch) == [1, 2, "one"]
    with pytest.raises(sqlite3.ProgrammingError):
        next(leaked[0])


def test_effects_are_only_written_down(tx: Tx) -> None:
    """DESIGN 6: commands change nothing but the database."""
    push = Push(event="mail_waiting", agent="anna")
    tx.woke("anna")
    tx.push(push)
    tx.log("letter_added", body="hello")
    tx.revise_due()
    assert tx.effects.woken == {"anna"}
    assert tx.effects.pushes == [push]
    assert tx.effects.logs == [("letter_added", {"body": "hello"})]
    assert tx.effects.due
