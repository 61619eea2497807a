"""What has to be true of reminders after every commit: asked of SQLite, and compared with the paper.

The numbers are those of the invariants that the project set itself for its first release. Each query gives the rows
that break its rule.
"""

from collections.abc import Callable, Iterable
from typing import Any

from tests.model.invariants_asks import Rows, same
from tests.model.paper import Paper

BROKEN_BY: dict[str, str] = {
    "15 a firing without its letter, or with another one's": """
        SELECT f.reminder FROM firings f JOIN messages m ON m.id = f.message
        WHERE m.kind <> 'reminder' OR m.about ->> 'reminder' <> 'r' || f.reminder
        OR m.about ->> 'nominal_at_ms' <> f.nominal_at""",
    "15 two letters of one occurrence": """
        SELECT max(id) FROM messages WHERE kind = 'reminder'
        GROUP BY about ->> 'reminder', about ->> 'nominal_at_ms' HAVING count(*) > 1""",
    "15 more firings than were counted": """
        SELECT r.id FROM reminders r WHERE r.fired < (SELECT count(*) FROM firings f WHERE f.reminder = r.id)""",
    "15 a reminder without a cron line that fired twice, or is done and never did": """
        SELECT id FROM reminders WHERE cron IS NULL AND (fired > 1 OR (state = 'done') <> (fired = 1))""",
    "a reminder that waits for somebody who is gone": """
        SELECT r.id FROM reminders r JOIN agents a ON a.name = r.agent
        WHERE r.state IN ('pending', 'parked') AND a.state = 'removed'""",
    "over without a time, or with one and not over": """
        SELECT id FROM reminders WHERE (state IN ('done', 'cancelled')) <> (ended_at IS NOT NULL)""",
}

ALL = " UNION ALL ".join(
    f"SELECT {position} AS rule, * FROM ({query})"  # noqa: S608  # texts from above
    for position, query in enumerate(BROKEN_BY.values())
)

REMINDERS = """
    SELECT id, agent, zone, elapsed, state, nominal_at, due_at, attempts, fired, made_by, made_at, ended_at
    FROM reminders    ORDER BY id"""
FIRINGS = """
    SELECT message, reminder, nominal_at, agent, missed, attempts, fired_at FROM firings WHERE message > :after
    ORDER BY message"""
BUCKETS = "SELECT name, reminder_bucket, reminder_bucket_at FROM agents ORDER BY name"
OVERDUE = "SELECT id FROM reminders WHERE state = 'pending' AND due_at <= :now"


class ReminderInspector:
    """Looks at reminders beside the services, and remembers how those ended that did."""

    def __init__(self, rows: Callable[..., Rows]) -> None:
        self._rows = rows
        self._letters = 0
        self._over: dict[int, tuple[Any, ...]] = {}

    def check(self, paper: Paper) -> None:
        """Compare with the paper, then ask for broken rules."""
        reminders = self._rows(REMINDERS)
        same("reminders", reminders, _reminders(paper))
        same("firings", self._rows(FIRINGS, after=self._letters), _firings(paper, self._letters))
        self._letters = len(paper.letters)
        if reminders:
            same("buckets of reminders", self._rows(BUCKETS), _buckets(paper))
            self._check_history(reminders)
            broken = self._rows(ALL)
            names = list(BROKEN_BY)
            assert not broken, [f"{names[rule]}: {row!r}" for rule, *row in broken]

    def check_nothing_overdue(self, now: int) -> None:
        """15: what was due has fired, or failed and is tried again later."""
        assert self._rows(OVERDUE, now=now) == []

    def _check_history(self, reminders: Rows) -> None:
        """A reminder ends once; nothing of it changes afterwards."""
        for row in reminders:
            if row[4] in ("done", "cancelled"):
                before = self._over.setdefault(row[0], row)
                assert row == before, f"a reminder that was over: {before!r}, and now {row!r}"
            else:
                assert row[0] not in self._over, f"a reminder that was over: {self._over[row[0]]!r}, and now {row!r}"


def _reminders(paper: Paper) -> Iterable[tuple[Any, ...]]:
    return (
        (one.id, one.agent.name, one.zone, one.elapsed, one.state, one.nominal, one.due, one.attempts, len(one.fired),
         one.made_by, one.made, one.ended)
        for one in paper.reminders
        if not one.gone
    )  # fmt: skip


def _firings(paper: Paper, after: int) -> Iterable[tuple[Any, ...]]:
    return sorted(
        (firing.letter.id, one.id, nominal, one.agent.name, firing.missed, firing.attempts, firing.at)
        for one in paper.reminders
        for nominal, firing in one.fired.items()
        if firing.letter.id > after
    )


def _buckets(paper: Paper) -> Iterable[tuple[Any, ...]]:
    return ((name, agent.reminder_bucket, agent.reminder_bucket_at) for name, agent in sorted(paper.agents.items()))
