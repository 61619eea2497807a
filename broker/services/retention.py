"""Retention: what has ended is deleted after its time, in small commands, so that others run between (DESIGN 5.19).

Mail that waits, is held, scheduled or in a turn is never touched, nor unread mail of the operator, nor the audit
trail. What is deleted stays counted in the account. A reply to a deleted message points nowhere.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from broker.services import job_monitor, replies
from broker.services.leasing import is_intact
from broker.store.tx import Row, Tx
from wire.settings import RetentionSettings

DAY_MS = 24 * 3600 * 1000
MINUTE_MS = 60_000
DELIVERIES = 200
"""At once: with their leases and messages, about 500 rows."""
ROWS = 500

KEEP_ALL = RetentionSettings(handled_days=36_500, dead_days=36_500, statistics_days=36_500)

EVERY_MS = 3_600_000
FIRST_AFTER_MS = 60_000
"""A start has other things to do first."""
PER_ROUND = 10
"""Commands in one round of the timekeeper: what is due must not wait for a year of old mail."""

Step = Callable[[Tx], bool]
"""Deletes some; True if there may be more."""


def applied(tx: Tx) -> RetentionSettings:
    """Read the applied retention; where it was damaged, everything is kept until it is applied again."""
    row = tx.one("fleet.tables")
    try:
        return RetentionSettings.model_validate_json(row["retention"]) if row else RetentionSettings()
    except ValueError:
        tx.log("retention_unreadable", kept_days=KEEP_ALL.handled_days)
        return KEEP_ALL


def steps(settings: RetentionSettings) -> list[Step]:
    """Give what has to be run, each until it says that nothing is left. Deliveries come before what they hold up."""
    return [
        partial(forget_mail, settings=settings),
        partial(forget_asks, settings=settings),
        partial(forget_turns, settings=settings),
        job_monitor.forget_secrets,
        partial(job_monitor.forget_events, kept_ms=settings.handled_days * DAY_MS),
        partial(job_monitor.forget_jobs, kept_ms=settings.handled_days * DAY_MS),
        partial(_drop, "retention.drop_reminders", settings.handled_days * DAY_MS),
        partial(_drop, "retention.drop_firings", settings.statistics_days * DAY_MS),
        partial(_drop, "statistics.drop", settings.statistics_days * DAY_MS),
        partial(_drop, "budgets.drop", settings.statistics_days * DAY_MS),
        partial(_drop, "retention.drop_flows", DAY_MS),
        partial(_drop, "retention.drop_merged", MINUTE_MS),
        forget_replies,
    ]


def forget_mail(tx: Tx, settings: RetentionSettings) -> bool:
    """Delete some deliveries that ended long ago, their leases, and messages that nobody has a copy of any more."""
    rows = tx.all(
        "retention.settled",
        handled_before=_before(tx, settings.handled_days * DAY_MS),
        dead_before=_before(tx, settings.dead_days * DAY_MS),
        limit=DELIVERIES,
    )
    if not rows:
        return False
    ids = json.dumps([row["id"] for row in rows])
    tx.run("retention.drop_leases", ids=ids)
    tx.run("retention.drop_deliveries", ids=ids)
    _count(tx, rows)
    gone = _forget_messages(tx, {row["message"] for row in rows})
    tx.log("mail_forgotten", deliveries=len(rows), messages=gone)
    return len(rows) == DELIVERIES


def _count(tx: Tx, rows: Sequence[Row]) -> None:
    read = sum(row["state"] == "acked" and row["recipient"] == "operator" for row in rows)
    tx.run(
        "retention.count",
        handled=sum(row["state"] == "acked" for row in rows) - read,
        redelivered=sum(max(row["attempt"] - 1, 0) for row in rows),
        dead=sum(row["state"] == "dead" for row in rows),
        expired=sum(row["state"] == "expired" for row in rows),
        mailbox=read,
    )


def _forget_messages(tx: Tx, messages: Iterable[int]) -> int:
    rows = tx.all("retention.left_over", ids=json.dumps(sorted(messages)))
    # A body that was damaged is not what went into the index; there it stays, as words without a message.
    indexed = [{"id": row["id"], "body": row["body"].decode()} for row in rows if row["is_indexed"] and is_intact(row)]
    if indexed:
        tx.run_each("retention.unindex", indexed)
    if rows:
        tx.run("retention.drop_messages", ids=json.dumps([row["id"] for row in rows]))
    return len(rows)


def forget_asks(tx: Tx, settings: RetentionSettings) -> bool:
    """Delete some asks that ended long ago, and the messages that only an open ask kept."""
    rows = tx.all("retention.ended_asks", before=_before(tx, settings.handled_days * DAY_MS), limit=DELIVERIES)
    if not rows:
        return False
    tx.run("retention.drop_asks", ids=json.dumps([row["id"] for row in rows]))
    named = (row[column] for row in rows for column in ("message", "answer_message"))
    _forget_messages(tx, {message for message in named if message is not None})
    return len(rows) == DELIVERIES


def forget_turns(tx: Tx, settings: RetentionSettings) -> bool:
    """Delete some turns that ended long ago: not before the mail that they had, as its story names them."""
    days = max(settings.statistics_days, settings.handled_days, settings.dead_days)
    return _drop("retention.drop_turns", days * DAY_MS, tx)


def forget_replies(tx: Tx) -> bool:
    """Delete stored results whose keys have run out."""
    tx.run("replies.forget", before=tx.now_ms - replies.KEPT_MS)
    return False


def _drop(query: str, older_ms: float, tx: Tx) -> bool:
    return tx.run(query, before=_before(tx, older_ms), limit=ROWS) == ROWS


def _before(tx: Tx, older_ms: float) -> int:
    return tx.now_ms - int(older_ms)


@dataclass(slots=True)
class Sweep:
    """What is left of this hour's sweep. In memory: a restart begins with the first step."""

    begins_at_ms: int
    left: list[Step] = field(default_factory=list[Step])

    def step(self, now_ms: int, settings: RetentionSettings) -> Step | None:
        """Give the step to run now; None until the next sweep begins."""
        at_ms = min(self.begins_at_ms, now_ms + EVERY_MS)  # the clock may have been set back
        if not self.left and now_ms >= at_ms:
            self.left = steps(settings)
            at_ms = now_ms + EVERY_MS
        self.begins_at_ms = at_ms
        return self.left[0] if self.left else None

    def done(self, step: Step) -> None:
        """A step that was given has nothing left. Idempotent: two rounds may have been given the same one."""
        if step in self.left:
            self.left.remove(step)
