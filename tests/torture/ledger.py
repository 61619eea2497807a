"""What the clients of a tortured broker know, and whether its store agrees. It talks to no broker."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from wire.ids import message_number, turn_number
from wire.inbox import InboxSent


@dataclass
class Letter:
    """A send, from before its first attempt."""

    sender: str
    key: str
    to: str
    body: str
    receipt: InboxSent | None = None
    """None: never answered; the message may exist once, or not at all."""


@dataclass
class Ledger:
    """Kept by the clients. Nothing in it comes from the store."""

    letters: dict[tuple[str, str], Letter] = field(default_factory=dict[tuple[str, str], Letter])
    """By sender and key."""
    completing: set[str] = field(default_factory=set[str])
    """Turns that somebody asked to close as completed, from before the question."""
    given_back: int = 0
    """Messages that were explicitly returned, or whose turn was ended otherwise; at most so many were redelivered."""
    leased_at_deaths: int = 0
    """Sum of the messages that were leased to receivers that died with a broker; the others resume their turns."""

    @property
    def accepted(self) -> list[Letter]:
        """The sends that were answered."""
        return [letter for letter in self.letters.values() if letter.receipt is not None]


@dataclass(frozen=True)
class Findings:
    """Where store and ledger disagree, in words; and what there was to compare."""

    wrong: list[str]
    messages: int
    deliveries: int
    redeliveries: int


def compare(database: Path, ledger: Ledger, *, drained: bool) -> Findings:
    """Compare a store that no broker uses with what its clients were told.

    `drained`: nobody sends any more and everything was worked off.
    """
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        wrong = [
            *_integrity(connection),
            *_messages(connection, ledger),
            *_deliveries(connection, ledger, drained=drained),
            *_leases(connection),
            *_counters(connection),
        ]
        redeliveries = _count(connection, "SELECT sum(max(attempt - 1, 0)) FROM deliveries")
        bound = ledger.leased_at_deaths + ledger.given_back
        if redeliveries > bound:
            wrong.append(f"redelivered: {redeliveries} times, at most {bound} are explained")
        return Findings(
            wrong=wrong,
            messages=_count(connection, "SELECT count(*) FROM messages"),
            deliveries=_count(connection, "SELECT count(*) FROM deliveries"),
            redeliveries=redeliveries,
        )


def leased(database: Path, recipients: Iterable[str]) -> int:
    """Count what these agents hold in a store that no broker uses; leaves it as the kill left it."""
    sql = "SELECT count(*) FROM deliveries WHERE state = 'leased' AND recipient = ?"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return sum(connection.execute(sql, (name,)).fetchone()[0] for name in recipients)


def _count(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0] or 0)


def _integrity(connection: sqlite3.Connection) -> Iterator[str]:
    verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if verdict != "ok":
        yield f"integrity: {verdict}"
    for row in connection.execute("PRAGMA foreign_key_check"):
        yield f"integrity: {tuple(row)} refers to nothing"


def _messages(connection: sqlite3.Connection, ledger: Ledger) -> Iterator[str]:
    """Every accepted send is there once, as it was sent; nothing else is there."""
    seen: dict[tuple[str, str], int] = {}
    for row in connection.execute("SELECT * FROM messages WHERE kind <> 'system' ORDER BY id"):
        known = (row["sender"], row["key"])
        letter = ledger.letters.get(known)
        if letter is None:
            yield f"invented: m{row['id']}, which nobody sent"
            continue
        if known in seen:
            yield f"twice: m{seen[known]} and m{row['id']} are one send"
        seen[known] = row["id"]
        body = hashlib.sha256(letter.body.encode()).digest()
        if row["body"] != letter.body or row["body_sha256"] != body or row["addressed_to"] != letter.to:
            yield f"altered: m{row['id']} is not what was sent"
        if letter.receipt is not None and message_number(letter.receipt.id) != row["id"]:
            yield f"twice: m{row['id']} was acknowledged as {letter.receipt.id}"
    for letter in ledger.accepted:
        if (letter.sender, letter.key) not in seen:
            yield f"lost: the send of {letter.sender} under {letter.key}, which was acknowledged"


def _deliveries(connection: sqlite3.Connection, ledger: Ledger, *, drained: bool) -> Iterator[str]:
    """Every copy is there, and handled only if a turn that its client completed held it."""
    copies: dict[int, dict[str, sqlite3.Row]] = {}
    for row in connection.execute("SELECT * FROM deliveries"):
        copies.setdefault(row["message"], {})[row["recipient"]] = row
    for letter in ledger.accepted:
        assert letter.receipt is not None
        here = copies.get(message_number(letter.receipt.id), {})
        for recipient in letter.receipt.recipients:
            if recipient not in here:
                yield f"lost: the copy of {letter.receipt.id} for {recipient}"
            elif drained and recipient != "operator" and here[recipient]["state"] not in {"acked", "held", "dead"}:
                yield f"lost: {letter.receipt.id} for {recipient} is {here[recipient]['state']}, and nobody gets it"
        if len(here) != len(letter.receipt.recipients):
            yield f"invented: {letter.receipt.id} went to {sorted(here)}"
    completing = {turn_number(turn) for turn in ledger.completing}
    sql = """
        SELECT d.message, d.recipient, d.turn, t.state, t.outcome, t.agent, l.attempt, d.attempt AS now_attempt
        FROM deliveries d LEFT JOIN turns t ON t.id = d.turn
        LEFT JOIN leases l ON l.turn = d.turn AND l.delivery = d.id
        WHERE d.state = 'acked' AND d.recipient <> 'operator'"""
    for row in connection.execute(sql):
        finished = row["state"] == "closed" and row["outcome"] == "completed" and row["agent"] == row["recipient"]
        if not finished or row["attempt"] != row["now_attempt"] or row["turn"] not in completing:
            yield f"false ack: m{row['message']} for {row['recipient']} is handled in no turn that was finished"


def _leases(connection: sqlite3.Connection) -> Iterator[str]:
    """One open turn per agent, of its present epoch, and nothing leased but to those."""
    sql = """
        SELECT d.message, d.recipient FROM deliveries d LEFT JOIN turns t ON t.id = d.turn
        LEFT JOIN agents a ON a.name = t.agent
        WHERE d.state = 'leased' AND (t.state IS NOT 'open' OR t.agent <> d.recipient OR t.epoch <> a.epoch)"""
    for row in connection.execute(sql):
        yield f"leased: m{row['message']} for {row['recipient']} to no open turn of its holder"
    for row in connection.execute("SELECT agent FROM turns WHERE state = 'open' GROUP BY agent HAVING count(*) > 1"):
        yield f"leased: {row['agent']} has two open turns"


def _counters(connection: sqlite3.Connection) -> Iterator[str]:
    """Quotas are what counting anew gives."""
    sql = """
        SELECT a.name, a.inbox_messages, count(d.id) AS n FROM agents a
        LEFT JOIN deliveries d ON d.recipient = a.name AND d.state IN ('ready', 'scheduled', 'leased')
        GROUP BY a.name HAVING a.inbox_messages <> n"""
    for row in connection.execute(sql):
        yield f"counters: {row['name']} has {row['n']} unsettled messages, its quota counts {row['inbox_messages']}"
