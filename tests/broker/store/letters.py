"""A very small post office of the tests' own: letters are added and taken."""

from collections.abc import Callable, Sequence
from logging import LogRecord
from pathlib import Path
from typing import Any

from broker.store.database import Database, open_database
from broker.store.filesystem import Mount
from broker.store.group import Batch, Command, Group, Job, Outcome, Ticket
from broker.store.migrate import Migration
from broker.store.sql import Queries
from broker.store.tx import Tx
from wire.clock import FakeClock
from wire.errors import Conflict

LETTERS = """
-- add --
-- Store a letter.
INSERT INTO letters (recipient, body) VALUES (:recipient, :body);

-- take --
-- Take the oldest letter of :recipient; none if there is none.
DELETE FROM letters WHERE id = (SELECT id FROM letters WHERE recipient = :recipient ORDER BY id LIMIT 1)
RETURNING body;

-- all --
-- Every letter, oldest first.
SELECT id, recipient, body FROM letters ORDER BY id;

-- oldest --
-- The number of the oldest letter, if any.
SELECT min(id) AS id FROM letters;

-- rename --
-- Change every body, by a statement that begins with WITH.
WITH new (body) AS (VALUES (:body)) UPDATE letters SET body = (SELECT body FROM new);

-- add_if_missing --
-- Store a letter under :id, unless there is one.
INSERT INTO letters (id, recipient, body) VALUES (:id, 'anna', 'x') ON CONFLICT DO NOTHING;

-- refer --
-- Refer to a letter; one that does not exist is found at COMMIT only.
INSERT INTO marks (letter) VALUES (:letter);

-- forever --
-- A query without end.
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n;

-- checkpoint --
-- Move the WAL into the database and empty it.
PRAGMA wal_checkpoint (TRUNCATE);

-- end --
-- What no command may do.
COMMIT;
"""

FIRST = Migration(
    1,
    "letters",
    """
    CREATE TABLE letters (
        id INTEGER PRIMARY KEY, recipient TEXT NOT NULL CHECK (recipient <> ''), body TEXT NOT NULL
    ) STRICT;
    CREATE TABLE marks (letter INTEGER REFERENCES letters (id) DEFERRABLE INITIALLY DEFERRED) STRICT;
    """,
)


def letter_queries() -> Queries:
    """Give the queries above, with those that the store itself asks."""
    product = Queries.from_package()
    own = {name: sql for name, sql in product.items() if name.startswith("store.")}
    return Queries({**own, **Queries.from_text({"letters": LETTERS})})


def send(recipient: str, body: str) -> Command[int]:
    """Make the command that adds a letter and wakes its recipient."""

    def command(tx: Tx) -> int:
        number = tx.insert("letters.add", recipient=recipient, body=body)
        tx.woke(recipient)
        tx.log("letter_added", body=body)
        return number

    return command


def take(recipient: str) -> Command[str | None]:
    """Make the command that takes a letter, or finds none."""

    def command(tx: Tx) -> str | None:
        row = tx.one("letters.take", recipient=recipient)
        return None if row is None else row["body"]

    return command


def refused(recipient: str, body: str) -> Command[int]:
    """Make a command that adds a letter and is then refused."""

    def command(tx: Tx) -> int:
        send(recipient, body)(tx)
        raise Conflict("somebody else holds it")

    return command


def job(command: Command[Any]) -> Job[Any]:
    """Make a job whose outcome is read from the batch."""
    return Job(command, ignore)


def ticket(recipient: str, until_ms: int = 2**60) -> Ticket[str]:
    """Make a ticket that waits for a letter."""
    return Ticket(take(recipient), ignore, recipient, until_ms)


def fields_of(record: LogRecord) -> dict[str, Any]:
    """Give the keywords of one of our log lines."""
    return record.__dict__["fields"]


def ignore(_: Outcome[Any]) -> None:
    """Be told an outcome and do nothing."""


def values(batch: Batch) -> list[Any]:
    """Give what each settled job got: its value, or the code of its error."""
    return [outcome.value if outcome.error is None else outcome.error.code for _, outcome in batch.settled]


def spy(calls: list[Any], name: str) -> Callable[[Any], None]:
    """Make a callback that writes down that it was called, and with what."""
    return lambda value: calls.append((name, value))


def open_letters(path: Path, mounts: Sequence[Mount] = (), migrations: Sequence[Migration] = (FIRST,)) -> Database:
    """Open a home with the letters' schema."""
    return open_database(path, FakeClock(), queries=letter_queries(), migrations=migrations, mounts=lambda: mounts)


def fill(path: Path, letters: int = 400) -> None:
    """Make a database of many pages, closed again."""
    with open_letters(path) as database:
        group = Group(database, FakeClock(), lambda tx: None)
        group.commit([job(send("anna", f"letter {number} " + "x" * 500)) for number in range(letters)])
