"""A home with the letters' database in it, a group over it, and what SQLite was told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.store.database import Database, open_database
from broker.store.group import Group
from tests.broker.store.letters import FIRST, letter_queries
from wire.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """Time that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database of this test lies."""
    return tmp_path / "broker.db"


@pytest.fixture
def database(path: Path, clock: FakeClock) -> Iterator[Database]:
    """A new database with the letters' schema, closed at the end."""
    with open_database(path, clock, queries=letter_queries(), migrations=[FIRST]) as database:
        yield database


@pytest.fixture
def group(database: Database, clock: FakeClock) -> Group:
    """The group over it; nothing is ever due."""
    return Group(database, clock, lambda tx: None)


@pytest.fixture
def statements(database: Database) -> list[str]:
    """Every statement that the writing connection runs from now on."""
    told: list[str] = []
    database.connection.set_trace_callback(told.append)
    return told
