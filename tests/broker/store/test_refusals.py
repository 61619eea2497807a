"""Which error of SQLite is which of ours."""

import sqlite3

import pytest

from broker.store.refusals import refusal
from wire.errors import Conflict

IOERR_FSYNC = 1034
"""An extended code: its low byte is SQLITE_IOERR."""


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        (sqlite3.SQLITE_FULL, "full"),
        (IOERR_FSYNC, "unavailable"),
        (sqlite3.SQLITE_BUSY, "unavailable"),
        (sqlite3.SQLITE_READONLY, "unavailable"),
        (sqlite3.SQLITE_CORRUPT, "unavailable"),
        (sqlite3.SQLITE_NOTADB, "unavailable"),
        (sqlite3.SQLITE_CONSTRAINT, "internal"),
        (sqlite3.SQLITE_ERROR, "internal"),
    ],
)
def test_the_disks_faults_are_told_and_ours_are_hidden(code: int, ours: str) -> None:
    """DESIGN 4: the message shows no detail of the database."""
    error = sqlite3.OperationalError("the secret detail")
    error.sqlite_errorcode = code
    answer = refusal(error)
    assert answer.code == ours
    assert "secret" not in answer.message


def test_a_refusal_of_ours_stays_what_it_is() -> None:
    """Ours."""
    error = Conflict("taken")
    assert refusal(error) is error


def test_a_lack_of_memory_is_told() -> None:
    """Ours: that is how sqlite3 reports SQLITE_NOMEM."""
    assert refusal(MemoryError()).code == "unavailable"
