"""Reminders: mail to oneself at a later time: set, taken back, tried again (DESIGN 5).

How they fire is in `firings`, when a cron line does in `civil_time`, what people look at in `reminder_views`.
"""

import hashlib
from dataclasses import dataclass

from broker.services import audit
from broker.services.admission import FROZEN, check_body
from broker.services.callers import Caller, Rules
from broker.services.civil_time import UTC, iso_of, parse_at, schedule_of, zone_of
from broker.services.leasing import is_intact
from broker.store.tx import Row, Tx
from wire.errors import Closed, Conflict, Denied, Full, Invalid, Limited, Unknown
from wire.ids import reminder_id, reminder_number, unknown
from wire.reminders import (
    BURST,
    MAX_AHEAD_S,
    MAX_PENDING,
    PER_MINUTE,
    Reminder,
    RemindersAdd,
    RemindersAdded,
    RemindersCancel,
    RemindersChanged,
    RemindersRetry,
)

CANCELLED = "cancelled by {0}"
GONE = "{0} was removed from the fleet"


def add(tx: Tx, caller: Caller, request: RemindersAdd, rules: Rules) -> RemindersAdded:
    """Set a reminder; durable once answered. The operator may set one for an agent and is never limited.

    Raises:
        Invalid: not just one of delay, at and cron, or none that lies ahead; too long. Denied: for somebody else, or
        frozen. Unknown: no such agent. Limited: too many wait, or too fast. Full: the disk.
    """
    check_body(request.message, rules)
    owner = _owner(tx, caller, request.agent)
    when = _when(request, tx.now_ms)
    if caller.kind == "agent":
        _check_room(owner, rules)
        tx.run("reminders.spend", name=owner["name"], bucket=_spend(owner, tx.now_ms), now=tx.now_ms)
    body = request.message
    reminder = reminder_id(
        tx.insert(
            "reminders.add",
            agent=owner["name"],
            body=body,
            body_sha256=hashlib.sha256(body.encode()).digest(),
            cron=when.cron,
            zone=when.zone,
            elapsed=int(when.elapsed),
            nominal=when.first_ms,
            made_by=caller.name,
            now=tx.now_ms,
        )
    )
    _note(tx, caller, "reminder.set", reminder, owner["name"])
    return RemindersAdded(id=reminder, next_at_ms=when.first_ms)


def _note(tx: Tx, caller: Caller, action: str, reminder: str, agent: str) -> None:
    """Log an act; the operator's is also audited."""
    if caller.kind == "agent":
        tx.log(action.replace(".", "_"), principal=caller.principal, subject=reminder, agent=agent)
    else:
        audit.write(tx, caller, action, reminder, agent=agent)


def _owner(tx: Tx, caller: Caller, name: str | None) -> Row:
    if caller.kind == "agent" and name not in (None, caller.name):
        raise Denied(f"a reminder is for yourself; write to {name!r} with send, or ask the operator to set one")
    row = tx.one("reminders.owner", name=name or caller.name)
    if row is None or row["state"] == "removed":
        raise Unknown(f"no agent {name or caller.name!r} in this fleet; `queenpost agent list` shows them")
    if row["frozen"] and caller.kind == "agent":
        raise Denied(FROZEN.format(row["name"]))
    return row


def _check_room(owner: Row, rules: Rules) -> None:
    if rules.disk_is_low:
        raise Full("the disk of the broker is nearly full; nothing was stored. Tell the operator, then try again.")
    if owner["waiting"] >= MAX_PENDING:
        raise Limited(
            f"{owner['waiting']} of {MAX_PENDING} reminders wait; cancel_reminder frees a place",
            current=owner["waiting"],
            limit=MAX_PENDING,
        )


def _spend(owner: Row, now_ms: int) -> float:
    """Take one token; a bucket that was never used is full."""
    used_at: int = owner["reminder_bucket_at"]
    tokens = float(BURST)
    if used_at:
        tokens = min(tokens, owner["reminder_bucket"] + max(now_ms - used_at, 0) * PER_MINUTE / 60_000)
    if tokens < 1.0:
        wait_ms = int((1.0 - tokens) * 60_000 / PER_MINUTE) + 1
        raise Limited(
            f"{owner['name']} sets reminders too fast (limit {PER_MINUTE:g} a minute after a burst of {BURST}); "
            f"try again in {wait_ms / 1000:.1f} s",
            retry_after_ms=wait_ms,
        )
    return tokens - 1.0


# --- when -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _When:
    first_ms: int
    cron: str | None = None
    zone: str | None = None
    elapsed: bool = False


def _when(request: RemindersAdd, now_ms: int) -> _When:
    if sum(given is not None for given in (request.delay_s, request.at, request.cron)) != 1:
        raise Invalid("give exactly one of delay, at and cron")
    if request.delay_s is not None:
        if request.zone is not None:
            raise Invalid("a delay has no zone; leave zone out, or give at or cron")
        return _When(_within_reach(now_ms + int(request.delay_s * 1000), now_ms), elapsed=True)
    if request.zone is not None:
        zone_of(request.zone)
    if request.at is not None:
        at_ms = parse_at(request.at, request.zone or UTC)
        if at_ms < now_ms:
            raise Invalid(f"at {request.at!r} is {iso_of(at_ms)}, which is past; now it is {iso_of(now_ms)}")
        return _When(_within_reach(at_ms, now_ms), zone=request.zone)
    cron = " ".join((request.cron or "").split())
    zone = request.zone or UTC
    first_ms = schedule_of(cron, zone).after(now_ms)
    if first_ms is None:
        raise Invalid(f"cron {cron!r} never fires")
    return _When(first_ms, cron, zone)


def _within_reach(at_ms: int, now_ms: int) -> int:
    if at_ms > now_ms + MAX_AHEAD_S * 1000:
        raise Invalid(
            f"a reminder lies at most {MAX_AHEAD_S // (366 * 86_400)} years ahead; now it is {iso_of(now_ms)}"
        )
    return at_ms


# --- taking back, trying again ----------------------------------------------------------------------


def cancel(tx: Tx, caller: Caller, request: RemindersCancel) -> RemindersChanged:
    """Take a reminder back; the operator may take any.

    Raises:
        Unknown: none that is the caller's. Closed: it is over; the message says how.
    """
    row = _own(tx, caller, request.reminder)
    reminder = reminder_id(row["id"])
    if row["state"] == "done":
        raise Closed(f"{reminder} has fired already; its mail is in the inbox or was handled")
    if row["state"] == "cancelled":
        raise Closed(f"{reminder} is cancelled already ({_text(row['reason'])})")
    tx.run("reminders.cancel", id=row["id"], reason=CANCELLED.format(caller.name), now=tx.now_ms)
    _note(tx, caller, "reminder.cancelled", reminder, row["agent"])
    return RemindersChanged(reminder=_now(tx, row["id"]))


def cancel_of_agent(tx: Tx, name: str) -> int:
    """Take back all that wait for an agent which was removed; gives how many."""
    return tx.run("reminders.cancel_of_agent", agent=name, reason=GONE.format(name), now=tx.now_ms)


def retry(tx: Tx, caller: Caller, request: RemindersRetry) -> RemindersChanged:
    """Give a parked reminder a fresh budget; it fires at once if it is due.

    Raises:
        Unknown: none that is the caller's. Conflict: it is not parked.
    """
    row = _own(tx, caller, request.reminder)
    reminder = reminder_id(row["id"])
    if row["state"] != "parked":
        raise Conflict(f"{reminder} is {row['state']}; only a parked reminder is tried again")
    tx.run("reminders.retry", id=row["id"])
    _note(tx, caller, "reminder.retried", reminder, row["agent"])
    return RemindersChanged(reminder=_now(tx, row["id"]))


def _own(tx: Tx, caller: Caller, reminder: str) -> Row:
    row = tx.one("reminders.one", id=reminder_number(reminder))
    if row is None or not is_owner(caller, row):
        raise unknown("reminder", reminder)
    return row


def is_owner(caller: Caller, row: Row) -> bool:
    """Say whether somebody may see and change a reminder: its agent and the operator."""
    return caller.kind != "agent" or row["agent"] == caller.name


def _now(tx: Tx, number: int) -> Reminder:
    row = tx.one("reminders.one", id=number)
    if row is None:
        raise unknown("reminder", reminder_id(number))
    return reminder_of(row)


def reminder_of(row: Row) -> Reminder:
    """Give one row as its owner sees it; what cannot be read is left out and the row marked as broken."""
    intact = is_intact(row)
    next_at = {"pending": row["due_at"], "parked": row["nominal_at"]}
    return Reminder(
        id=reminder_id(row["id"]),
        agent=row["agent"],
        message=row["body"].decode() if intact else "",
        state=row["state"],
        next_at_ms=next_at.get(row["state"]),
        cron=_text(row["cron"]),
        zone=_text(row["zone"]),
        fired=row["fired"],
        attempts=row["attempts"],
        reason=_text(row["reason"]),
        made_at_ms=row["made_at"],
        broken=not intact,
    )


def _text(stored: bytes | None) -> str | None:
    return None if stored is None else stored.decode(errors="replace")
