"""Whether a store agrees with what the script of `tests.torture.script` was told."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.fakes.office import FakeOffice
from tests.torture.script import LIMITS, NAMES

Told = dict[str, Any]

ROUNDS = 3
"""Notices of one round are mail of the next."""


def disagreements(folder: Path, lines: list[Told]) -> list[str]:
    """Open the store as the next broker would, look at everything, and work it off to the end."""
    wrong = list(_file(folder / "broker.db"))
    with FakeOffice(folder, limits=LIMITS) as office:
        told = [line["told"] for line in lines if line.get("told")]
        wrong += [word for one in told for word in _is_there(office, one)]
        wrong += _nothing_invented(office, lines)
        wrong += _account(office)
        _work_off(office)
        wrong += _account(office)
        wrong += [
            f"m{row['message']} to {row['recipient']} is {row['state']}, and nobody gets it"
            for row in office.rows(
                "SELECT message, recipient, state FROM deliveries "
                "WHERE state IN ('ready', 'leased', 'scheduled') AND recipient <> 'operator'"
            )
        ]
    return wrong


def _file(database: Path) -> Iterator[str]:
    with closing(sqlite3.connect(database)) as connection:
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            yield f"integrity: {verdict}"
        for row in connection.execute("PRAGMA foreign_key_check"):
            yield f"integrity: {tuple(row)} refers to nothing"


def _is_there(office: FakeOffice, told: Told) -> Iterator[str]:
    """What was answered is in the file."""
    if "message" in told:
        rows = office.rows(
            "SELECT id, length(body) AS size FROM messages WHERE sender = :sender AND key = :key",
            sender=told["sender"],
            key=told["key"],
        )
        if [(f"m{row['id']}", row["size"]) for row in rows] != [(told["message"], told["body"])]:
            yield f"{told}: the file has {[tuple(row) for row in rows]}"
    for noun, table, column, expected in (
        ("ask", "asks", "question", told.get("question")),
        ("answered", "asks", "answer", told.get("answer")),
        ("reminder", "reminders", "body", told.get("text")),
    ):
        if noun in told:
            sql = f"SELECT {column} AS found FROM {table} WHERE id = :id"  # noqa: S608  # names from above
            rows = office.rows(sql, id=int(told[noun][1:]))
            if [row["found"] for row in rows] != [expected]:
                yield f"{told}: the file has {[tuple(row) for row in rows]}"
    if "turn" in told:
        row = office.row("SELECT state, outcome FROM turns WHERE id = :id", id=int(told["turn"][1:]))
        if (row["state"], row["outcome"]) != ("closed", told["outcome"]):
            yield f"{told}: the turn is {tuple(row)}"
        for message in told["acked"]:
            if office.state(message, told["agent"]) != "acked":
                yield f"{told}: {message} is {office.state(message, told['agent'])}"


def _nothing_invented(office: FakeOffice, lines: list[Told]) -> Iterator[str]:
    """What was refused left nothing; what was never asked is not there."""
    refused = {f"op-{line['n']}" for line in lines if "refused" in line}
    asked = {f"op-{line['n']}" for line in lines if "asked" in line}
    for row in office.rows("SELECT key FROM messages WHERE key IS NOT NULL UNION ALL SELECT key FROM replies"):
        if row["key"].startswith("op-") and (row["key"] in refused or row["key"] not in asked):
            yield f"{row['key']} was refused or never asked, and is in the file"


def _account(office: FakeOffice) -> Iterator[str]:
    """Every delivery that was ever accepted is explained, and the quotas are what counting gives."""
    row = office.do(lambda tx: tx.one("fleet.account"))
    assert row is not None
    lost = row["accepted"] - sum(row[name] for name in ("handled", "waiting", "dead", "held", "expired", "mailbox"))
    if lost:
        yield f"lost {lost}: {dict(row)}"
    yield from (
        f"{row['name']}: its quota counts {row['inbox_messages']}, there are {row['n']}"
        for row in office.rows(
            "SELECT a.name, a.inbox_messages, count(d.id) AS n FROM agents a LEFT JOIN deliveries d "
            "ON d.recipient = a.name AND d.state IN ('ready', 'scheduled', 'leased') "
            "GROUP BY a.name HAVING a.inbox_messages <> n"
        )
    )
    for query in (
        "SELECT agent FROM turns WHERE state = 'open' GROUP BY agent HAVING count(*) > 1",
        """SELECT d.recipient FROM deliveries d LEFT JOIN turns t ON t.id = d.turn
        WHERE d.state = 'leased' AND (t.state IS NOT 'open' OR t.agent <> d.recipient)""",
        "SELECT id FROM asks WHERE state = 'answered' AND kind = 'question' AND answer_message IS NULL",
        "SELECT reminder FROM firings f WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = f.message)",
    ):
        yield from (f"{query}: {tuple(row)}" for row in office.rows(query))


def _work_off(office: FakeOffice) -> None:
    """Let time pass until back-offs, holders and reminders of the dead run are over, and handle all that is there."""
    for _ in range(ROUNDS):
        office.pass_time(3600)
        for name in NAMES:
            if office.rows("SELECT 1 FROM agents WHERE name = :name", name=name):
                _handle_all(office, name)


def _handle_all(office: FakeOffice, name: str) -> None:
    caller = office.harness(name, takeover=True)
    while (opened := office.open(caller)) is not None and opened.turn is not None:
        office.close(caller, opened.turn.id)
