"""Firing: what makes mail of the reminders that are due, and what becomes of one that cannot fire (DESIGN 5).

Setting them and taking them back is in `reminders`; `wakeups` says when it is time.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from broker.services import notices
from broker.services.callers import OPERATOR
from broker.services.civil_time import UTC, Due, schedule_of
from broker.services.leasing import BROKEN, is_intact
from broker.store.tx import Row, Tx
from wire.errors import Invalid
from wire.escaping import rendered_bytes
from wire.ids import message_id, reminder_id
from wire.inbox import About
from wire.reminders import MAX_ATTEMPTS, PER_TRANSACTION
from wire.turns import backoff_ms

UNREADABLE = "its cron line or its zone cannot be read"


@dataclass(frozen=True, slots=True)
class _Firing:
    """One occurrence on its way into an inbox."""

    row: Row
    due: Due
    message: int
    bytes: int


def fire_due(tx: Tx, limit: int = PER_TRANSACTION) -> int:
    """Fire what is due, the mail and the advance of each reminder in one transaction; gives how many were due.

    No quota is asked: what was accepted fires. Several occurrences that were missed fire once. One that has fired
    never does again. A row that cannot fire is tried again later, parked in the end, and keeps no other waiting.
    """
    rows = tx.all("reminders.due", now=tx.now_ms, limit=limit)
    if not rows:
        return 0
    last = tx.one("reminders.last_message")
    message: int = last["id"] if last else 0
    firings: list[_Firing] = []
    stale: list[tuple[Row, Due]] = []
    unfit: list[tuple[Row, str]] = []
    for row in rows:
        try:
            due = _due(row, tx.now_ms)
        except Invalid as exc:
            unfit.append((row, exc.message))
            continue
        if row["last_fired"] is not None and due.nominal_ms <= row["last_fired"]:
            stale.append((row, due))
        else:
            message += 1
            firings.append(_Firing(row, due, message, rendered_bytes(row["body"].decode())))
    _fire(tx, firings)
    _advance(tx, [*((one.row, one.due, 1) for one in firings), *((row, due, 0) for row, due in stale)])
    _fail(tx, unfit)  # last: it writes notices, whose ids are not reserved
    return len(rows)


def _due(row: Row, now_ms: int) -> Due:
    """Say what a row has to do.

    Raises:
        Invalid: the row itself is the reason why it cannot fire.
    """
    if not is_intact(row):
        raise Invalid(BROKEN)
    if row["cron"] is None:
        return Due(row["nominal_at"], 0, None)
    try:
        cron, zone = row["cron"].decode(), (row["zone"] or UTC.encode()).decode()
    except UnicodeDecodeError:
        raise Invalid(UNREADABLE) from None
    return schedule_of(cron, zone).due(row["nominal_at"], now_ms)


def _fire(tx: Tx, firings: list[_Firing]) -> None:
    if not firings:
        return
    tx.run_each("reminders.add_message", [_mail_of(one, tx.now_ms) for one in firings])
    tx.run_each(
        "reminders.add_delivery",
        [{"message": one.message, "recipient": one.row["agent"], "bytes": one.bytes} for one in firings],
    )
    tx.run_each(
        "reminders.add_firing",
        [
            {
                "id": one.row["id"],
                "nominal": one.due.nominal_ms,
                "recipient": one.row["agent"],
                "message": one.message,
                "missed": one.due.missed,
                "attempts": one.row["attempts"] + 1,
                "now": tx.now_ms,
            }
            for one in firings
        ],
    )
    _count_in(tx, firings)
    ids = {reminder_id(one.row["id"]): message_id(one.message) for one in firings}
    tx.log("reminders_fired", count=len(firings), mail=ids)


def _mail_of(one: _Firing, now_ms: int) -> dict[str, str | bytes | int]:
    about = About(reminder=reminder_id(one.row["id"]), nominal_at_ms=one.due.nominal_ms, missed=one.due.missed)
    return {
        "message": one.message,
        "recipient": one.row["agent"],
        "body": one.row["body"].decode(),
        "body_sha256": one.row["body_sha256"],
        "about": about.model_dump_json(exclude_defaults=True),
        "now": now_ms,
    }


def _count_in(tx: Tx, firings: list[_Firing]) -> None:
    """Keep the counters of the quota true, which nothing of this is held against."""
    messages = Counter[str](one.row["agent"] for one in firings)
    size = Counter[str]()
    for one in firings:
        size[one.row["agent"]] += one.bytes
    tx.run_each(
        "inbox.count_one_in",
        [{"recipient": name, "messages": count, "bytes": size[name]} for name, count in messages.items()],
    )
    for name in messages:
        tx.woke(name)


def _advance(tx: Tx, steps: Iterable[tuple[Row, Due, int]]) -> None:
    """Go on to the next occurrence of each; one without mail had fired before."""
    advances = [
        {"id": row["id"], "nominal": due.nominal_ms, "next": due.next_ms, "fired": fired, "now": tx.now_ms}
        for row, due, fired in steps
    ]
    if advances:
        tx.run_each("reminders.advance", advances)


def _fail(tx: Tx, unfit: list[tuple[Row, str]]) -> None:
    if not unfit:
        return
    tx.run_each("reminders.fail", [_failure(row, reason, tx.now_ms) for row, reason in unfit])
    for row, reason in unfit:
        reminder, attempts = reminder_id(row["id"]), row["attempts"] + 1
        tx.log("reminder_failed", reminder=reminder, agent=row["agent"], attempt=attempts, reason=reason)
        if attempts >= MAX_ATTEMPTS:
            text = (
                f"{reminder} of {row['agent']} is parked after {attempts} attempts: {reason}. "
                f"`queenpost reminders --retry {reminder}` tries it again, --cancel takes it back."
            )
            notices.tell(tx, OPERATOR, text, cause=f"parked:{row['agent']}")


def _failure(row: Row, reason: str, now_ms: int) -> dict[str, str | int | None]:
    attempts: int = row["attempts"] + 1
    again_ms = None if attempts >= MAX_ATTEMPTS else now_ms + backoff_ms(attempts)
    return {"id": row["id"], "attempts": attempts, "due_at": again_ms, "reason": reason}


def start(tx: Tx) -> None:
    """After a start: a clock that was set back meanwhile keeps no bucket empty, and makes no delay look new."""
    tx.run("reminders.clamp_clock", now=tx.now_ms)
    tx.run("reminders.clamp_delays", now=tx.now_ms)


def clock_was_set(tx: Tx, step_ms: int) -> None:
    """Keep what is left of each delay; civil times stay what they are. Buckets fill as fast as before."""
    tx.run("reminders.shift_clock", step=step_ms, now=tx.now_ms)
    tx.run("reminders.shift_buckets", step=step_ms, now=tx.now_ms)
    tx.revise_due()
