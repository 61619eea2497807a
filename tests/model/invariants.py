"""What has to be true of the database after every commit, whatever happened: asked of SQLite, not of the paper.

The numbers are those of the invariants that the project set itself for its first release. Each query gives the
rows that break its rule; all of them are one statement, so that asking after every step is cheap.
"""

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterable
from typing import Any

from tests.model.invariants_asks import AskInspector
from tests.model.invariants_jobs import JobInspector
from tests.model.invariants_reminders import ReminderInspector
from tests.model.paper import SETTLED, Paper
from tests.model.paper_storms import counted

BROKEN_BY: dict[str, str] = {
    "3 acked without a completed turn that leased this attempt": """
        SELECT d.id FROM deliveries d WHERE d.state = 'acked' AND d.recipient <> 'operator' AND NOT EXISTS (
            SELECT 1 FROM leases l JOIN turns t ON t.id = l.turn
            WHERE l.delivery = d.id AND l.attempt = d.attempt AND l.given_back = 0 AND l.turn = d.turn
            AND t.agent = d.recipient AND t.state = 'closed' AND t.outcome = 'completed')""",
    "4 leased, but not by the one open turn that its row names": """
        SELECT d.id FROM deliveries d WHERE d.state = 'leased' AND 1 <> (
            SELECT count(*) FROM leases l JOIN turns t ON t.id = l.turn
            WHERE l.delivery = d.id AND l.given_back = 0 AND t.state = 'open' AND t.agent = d.recipient
            AND l.turn = d.turn AND l.attempt = d.attempt)""",
    "4 held by an open turn, but not leased": """
        SELECT l.delivery FROM turns t JOIN leases l ON l.turn = t.id JOIN deliveries d ON d.id = l.delivery
        WHERE t.state = 'open' AND l.given_back = 0 AND (d.state <> 'leased' OR d.turn <> t.id)""",
    "5 an open turn of another epoch, or of nobody": """
        SELECT t.id FROM turns t JOIN agents a ON a.name = t.agent
        WHERE t.state = 'open' AND (t.epoch <> a.epoch OR a.instance IS NULL OR a.state <> 'active')""",
    "5 a turn of somebody who is frozen": """
        SELECT t.id FROM turns t JOIN agents a ON a.name = t.agent JOIN fleet f
        WHERE t.state <> 'closed' AND (a.frozen OR f.frozen)""",
    "5 two open turns of one agent": """
        SELECT max(id) FROM turns WHERE state = 'open' GROUP BY agent HAVING count(*) > 1""",
    "7 dead without a reason that makes dead": """
        SELECT id FROM deliveries WHERE state = 'dead' AND failures < 5
        AND coalesce(reason, '') NOT LIKE '%was removed%'
        AND (discarded_at IS NULL OR (reason NOT LIKE 'discarded by the operator; it was held: %'
                                      AND reason NOT LIKE 'recalled by %'))""",
    "7 alive after five failures or twenty deaths": """
        SELECT id FROM deliveries WHERE (failures >= 5 AND state <> 'dead')
        OR (restarts >= 20 AND state NOT IN ('held', 'dead', 'expired'))""",
    "9 leased although an earlier letter of the pair was not, when it was": """
        SELECT d.id FROM deliveries d JOIN deliveries e
        ON e.recipient = d.recipient AND e.sender = d.sender AND e.place < d.place AND e.state = 'ready'
        WHERE d.state = 'leased' AND d.in_order = 1 AND e.in_order = 1 AND NOT EXISTS (
            SELECT 1 FROM leases l WHERE l.delivery = e.id AND l.turn >= (
                SELECT min(f.turn) FROM leases f WHERE f.delivery = d.id AND f.attempt = d.attempt))""",
    "11 a broadcast with another number of copies than its receipt says": """
        SELECT m.id FROM messages m WHERE m.addressed_to = '*' AND json_array_length(m.receipt, '$.recipients') <> (
            SELECT count(*) FROM deliveries d WHERE d.message = m.id)
        AND NOT EXISTS (SELECT 1 FROM fleet WHERE forgotten_handled + forgotten_dead > 0)""",
    "11 a letter without a copy": """
        SELECT m.id FROM messages m WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id)
        AND NOT EXISTS (SELECT 1 FROM asks k WHERE k.message = m.id)""",
    "17 a quota counter that is no count": """
        SELECT a.name FROM agents a WHERE (a.inbox_messages, a.inbox_bytes) <> (
            SELECT count(*), coalesce(sum(d.bytes), 0) FROM deliveries d
            WHERE d.recipient = a.name AND d.state IN ('ready', 'leased', 'scheduled'))""",
    "17 a turn's budget that is no count": """
        SELECT t.id FROM turns t WHERE t.state = 'open' AND (t.messages, t.bytes) <> (
            SELECT count(*), coalesce(sum(d.bytes), 0) FROM deliveries d WHERE d.turn = t.id AND d.state = 'leased')""",
    "settled without a time, or with one and not settled": """
        SELECT id FROM deliveries WHERE (state IN ('acked', 'dead', 'expired')) <> (settled_at IS NOT NULL)""",
    "a place that is given twice, or a sender that is not the letter's": """
        SELECT d.id FROM deliveries d JOIN messages m ON m.id = d.message WHERE m.sender <> d.sender""",
}

ELIGIBLE = """
    SELECT d.recipient FROM deliveries d JOIN agents a ON a.name = d.recipient JOIN messages m ON m.id = d.message
    WHERE d.state = 'ready' AND d.ready_at <= :now AND a.state = 'active' AND a.paused = 0
    AND a.frozen = 0 AND NOT EXISTS (SELECT 1 FROM fleet f WHERE f.frozen = 1)
    AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.agent = a.name AND t.state = 'open')
    AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE d.in_order = 1 AND e.in_order = 1 AND e.recipient = d.recipient
                    AND e.sender = d.sender AND e.place < d.place AND e.state = 'ready' AND e.ready_at > :now)"""
"""19: who has eligible mail and no turn. Damaged letters are put aside by the open that finds them."""

ALL = " UNION ALL ".join(
    f"SELECT {position} AS rule, * FROM ({query})"  # noqa: S608  # texts from above
    for position, query in enumerate(BROKEN_BY.values())
)

DELIVERIES = """
    SELECT id, message, recipient, sender, bytes, rank, in_order, place, state, ready_at, attempt, failures, restarts,
           alone, turn, discarded_at IS NOT NULL, settled_at FROM deliveries ORDER BY id"""
TURNS = """
    SELECT id, agent, epoch, attended, state, outcome, alone, carried_from, messages, bytes, depth, lease_until
    FROM turns ORDER BY id"""
LEASES = "SELECT turn, delivery, attempt, call, given_back FROM leases ORDER BY turn, id"
AGENTS = """
    SELECT name, role, origin, state, paused, frozen, epoch, instance, attended, lost_at, inbox_messages, inbox_bytes,
           bucket, bucket_at FROM agents ORDER BY name"""
LETTERS = """
    SELECT id, sender, kind, addressed_to, in_reply_to, depth, turn, key,
           CASE WHEN kind = 'system' AND body LIKE '% notices in one:%' THEN CAST(body AS INTEGER) ELSE 1 END,
           body_sha256
    FROM messages WHERE id > :after ORDER BY id"""
NOTICES = """
    SELECT recipient, cause, told_at, due_at, json_array_length(waiting) FROM merged_notices
    ORDER BY recipient, cause"""
COUNTS = """
    SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM replies),
           (SELECT count(*) FROM credentials WHERE name LIKE 'agent:%'),
           (SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'),
           (SELECT coalesce(sum(attempt), 0) - count(*) FROM deliveries WHERE attempt > 0)"""
FLEET = """
    SELECT frozen, forgotten_handled, forgotten_redelivered, forgotten_dead, forgotten_expired, forgotten_mailbox
    FROM fleet"""
FLOWS = "SELECT sender, recipient, at, n FROM flows ORDER BY sender, recipient, at"
"""What the storm guard counted."""
HELD = """
    SELECT m.receipt, d.state = 'held' OR d.reason LIKE '%it was held: storm:%' FROM deliveries d
    JOIN messages m ON m.id = d.message WHERE d.message = :letter AND d.recipient = :recipient"""
AUDIT = "SELECT action, subject FROM audit WHERE id > :after ORDER BY id"

WAS_HELD = "held, not handed to "

Rows = list[tuple[Any, ...]]


class Inspector:
    """Looks at the database beside the services, and remembers what it saw before."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.use(connection)
        self.asks = AskInspector(self.rows)
        self.reminders = ReminderInspector(self.rows)
        self.jobs = JobInspector(self.rows)
        self._letters = 0
        self._audited = 0
        self._before: dict[int, tuple[str, int]] = {}
        """State and attempt of each delivery at the last look."""

    def use(self, connection: sqlite3.Connection) -> None:
        """Look at this connection from now on."""
        self._cursor = connection.cursor()
        self._cursor.row_factory = None

    def rows(self, sql: str, **params: object) -> Rows:
        """Read plain tuples."""
        return self._cursor.execute(sql, params).fetchall()

    def check(self, paper: Paper, *, requeued: bool, forgets: bool = False) -> None:
        """Compare everything with the paper, then ask for broken rules."""
        deliveries = self.rows(DELIVERIES)
        _same("deliveries", deliveries, _deliveries(paper))
        _same("turns", self.rows(TURNS), _turns(paper))
        self.asks.check(paper)
        self.reminders.check(paper)
        self.jobs.check(paper)
        _same("leases", self.rows(LEASES), _leases(paper))
        _same("agents", self.rows(AGENTS), _agents(paper))
        _same("notices", self.rows(NOTICES), _notices(paper))
        _same("fleet", self.rows(FLEET), [_fleet(paper)])
        _same("traffic", self.rows(FLOWS), counted(paper))
        self._check_letters(paper)
        self._check_counts(paper)
        self._check_history(deliveries, requeued=requeued, forgets=forgets)
        broken = self.rows(ALL)
        names = list(BROKEN_BY)
        assert not broken, [f"{names[rule]}: {row!r}" for rule, *row in broken]

    def check_nobody_sleeps(self, parked: Collection[str], now: int) -> None:
        """19: nobody with a parked open has eligible mail."""
        if parked:
            asleep = {row[0] for row in self.rows(ELIGIBLE, now=now)} & set(parked)
            assert not asleep, f"left asleep with eligible mail: {asleep}"

    def was_held(self, letter: int, recipient: str) -> bool:
        """Say whether the storm guard held a copy, whatever became of it since: a receipt does not change."""
        ((receipt, is_held),) = self.rows(HELD, letter=letter, recipient=recipient)
        if receipt is None:
            return bool(is_held)
        words = [warning for warning in json.loads(receipt)["warnings"] if warning.startswith(WAS_HELD)]
        return any(recipient in warning.removeprefix(WAS_HELD).split(":")[0].split(", ") for warning in words)

    def check_file(self) -> None:
        """29: SQLite finds nothing wrong, no reference is broken. Also 1, once more for every letter."""
        assert self.rows("PRAGMA integrity_check") == [("ok",)]
        assert self.rows("PRAGMA foreign_key_check") == []

    def check_bodies(self, paper: Paper) -> None:
        """1: every letter is there with the body that was sent."""
        bodies = dict(self.rows("SELECT id, CAST(body AS BLOB) FROM messages WHERE kind <> 'system'"))
        sent = {
            letter.id: letter.body.encode()
            for letter in paper.letters
            if letter.kind != "system" and not (letter.damaged or letter.gone)
        }
        assert {number: bodies.get(number) for number in sent} == sent

    def _check_letters(self, paper: Paper) -> None:
        """1, 2, 10, 12: each accepted send has its row, each row was accepted."""
        for row in self.rows(LETTERS, after=self._letters):
            assert row[0] <= len(paper.letters), f"nobody sent m{row[0]}"
            letter = paper.letters[row[0] - 1]
            told = (
                letter.id,
                letter.sender,
                letter.kind,
                letter.to,
                letter.reply,
                letter.depth,
                letter.turn,
                letter.key,
                letter.told,
            )
            assert row[:-1] == told
            if letter.kind != "system":
                assert row[-1] == hashlib.sha256(letter.body.encode()).digest()
            self._letters = row[0]

    def _check_counts(self, paper: Paper) -> None:
        """2, 18, 21, 28: no invented row; redeliveries are bounded by what went back; audit as on paper."""
        letters, replies, tokens, accepted, again = self.rows(COUNTS)[0]
        assert letters == sum(not letter.gone for letter in paper.letters)
        assert replies == len(paper.answered)
        assert tokens == len(paper.tokens)
        assert (accepted or 0) == len(paper.copies)
        assert again <= paper.releases
        rows = self.rows(AUDIT, after=self._audited)
        assert rows == paper.audit[self._audited :]
        self._audited += len(rows)

    def _check_history(self, deliveries: Rows, *, requeued: bool, forgets: bool) -> None:
        """7, 8, 16: attempts never decrease; what has ended stays so, but for a requeue; only that may be deleted."""
        now = {row[0]: (row[8], row[10]) for row in deliveries}
        for number, (state, attempt) in self._before.items():
            if number not in now:
                assert forgets, f"delivery {number} is gone, and nobody ran retention"
                assert state in SETTLED, f"delivery {number} was {state} and is gone"
                continue
            after, later = now[number]
            assert later >= attempt, f"attempt of delivery {number} went from {attempt} to {later}"
            if after != state:
                assert state not in ("acked", "expired"), f"delivery {number} was {state} and is {after}"
                assert state != "dead" or requeued, f"delivery {number} was dead and is {after}"
        self._before = now


def _same(what: str, real: Rows, paper: Iterable[tuple[Any, ...]]) -> None:
    expected = list(paper)
    if real == expected:
        return
    differences = [f"real {one!r}, paper {other!r}" for one, other in zip(real, expected, strict=False) if one != other]
    raise AssertionError(f"{what} ({len(real)} real, {len(expected)} on paper): {differences}")


def _deliveries(paper: Paper) -> Iterable[tuple[Any, ...]]:
    return (
        (copy.id, copy.letter.id, copy.recipient.name, copy.letter.sender, copy.size, copy.rank, copy.in_order,
         copy.place, copy.state, copy.ready_at, copy.attempt, copy.failures, copy.restarts, copy.alone, copy.turn,
         copy.discarded, copy.settled_at)
        for copy in paper.copies
        if copy.state != "gone"
    )  # fmt: skip


def _turns(paper: Paper) -> Iterable[tuple[Any, ...]]:
    return (
        (turn.id, turn.agent.name, turn.epoch, turn.attended, turn.state, turn.outcome, turn.alone, turn.carried_from,
         turn.messages, turn.size, turn.depth, turn.lease_until)
        for turn in paper.turns
        if not turn.gone
    )  # fmt: skip


def _leases(paper: Paper) -> Iterable[tuple[Any, ...]]:
    return (
        (turn.id, copy.id, lease.attempt, lease.call, lease.left)
        for turn in paper.turns
        for copy, lease in turn.leases.items()
    )


def _agents(paper: Paper) -> Iterable[tuple[Any, ...]]:
    for _, agent in sorted(paper.agents.items()):
        holder = (agent.epoch, agent.instance, agent.attended, agent.lost_at)
        quota = (*paper.load(agent), agent.bucket, agent.bucket_at)
        yield (agent.name, agent.role, agent.origin, agent.state, agent.paused, agent.frozen, *holder, *quota)


def _fleet(paper: Paper) -> tuple[Any, ...]:
    fates = ("handled", "redelivered", "dead", "expired", "mailbox")
    return (paper.everybody_is_frozen, *(paper.forgotten[fate] for fate in fates))


def _notices(paper: Paper) -> Iterable[tuple[Any, ...]]:
    return ((*who, told.at, told.due, min(len(told.waiting), 21)) for who, told in sorted(paper.told.items()))
