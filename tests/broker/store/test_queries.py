"""Every query of the product against the product's schema: it compiles, and reads no big table from end to end."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from broker.store.database import memory_database
from broker.store.sql import Queries

SMALL = ("agents", "credentials", "fleet", "sqlite_sequence", "quarantine")
"""Tables that have a row for each agent at most; refusals, of which a thousand kinds are told apart."""

MAY_SCAN = {
    "fleet.account",
    "figures.deliveries",
    "jobs.open_or_said",
    "jobs.posts",
    "finding.root",
    "finding.thread",
    "letters.family",
    "storms.traffic",
    "notices.clamp",
    "notices.shift",
}
"""Counts of every delivery, for `status` and `stats`, through a reader: nobody waits for them; the first of what
the broker itself publishes, in its order; what scans only the rows that it has found itself, by index: of one thread,
of one family, of one pair; and the notices of the last hour, at a start or when the clock was set."""

OWN = sorted(name for name in Queries.from_package() if not name.startswith("store."))


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    """The product's schema, empty."""
    with closing(memory_database()) as database:
        yield database.connection


def plan(connection: sqlite3.Connection, sql: str) -> list[str]:
    """Give the steps that SQLite would take."""
    params = dict.fromkeys(re.findall(r":(\w+)", sql))
    return [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", params)]


def scanned(step: str, sql: str) -> str | None:
    """Give the table that a step reads from end to end without an index, if it is a big one."""
    match = re.fullmatch(r"SCAN (\w+)", step)
    if match is None:
        return None
    # A step names the alias, where there is one.
    tables = {match[1], *re.findall(rf"\b(\w+)(?: AS)? {match[1]}\b", sql)}
    return None if tables & set(SMALL) else match[1]


@pytest.mark.parametrize("name", OWN)
def test_a_query_compiles_and_uses_its_index(connection: sqlite3.Connection, name: str) -> None:
    """Measured: a partial index that its query cannot use made a life cycle 41 times slower at 10,000 rows."""
    sql = Queries.from_package()[name]
    scans = {table for step in plan(connection, sql) if (table := scanned(step, sql))}
    assert scans == set() or name in MAY_SCAN


def test_a_query_whose_index_does_not_fit_is_found(connection: sqlite3.Connection) -> None:
    """Ours: the check itself, by the pitfall that was measured."""
    steps = plan(connection, "SELECT id FROM deliveries WHERE state IN (:a, 'leased') AND place > 0")
    assert [scanned(step, "FROM deliveries") for step in steps] == ["deliveries"]
