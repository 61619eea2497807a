"""Reminders, read: what waits, what fired, and why something has not. Beside the writer; nothing is changed."""

from typing import Any

from broker.services.callers import Caller
from broker.services.civil_time import iso_of
from broker.services.reminders import is_owner, reminder_of
from broker.services.views import PAGE_BYTES
from broker.store.readers import Reader
from wire.errors import Denied, QueenpostError, Unknown
from wire.finding import Explained, RemindersExplain
from wire.ids import message_id, reminder_id, reminder_number, unknown
from wire.inbox import Happening
from wire.reminders import (
    Reminder,
    ReminderCounts,
    RemindersCounted,
    RemindersList,
    RemindersListed,
    RemindersStats,
)

DAY_MS = 86_400_000
FIRINGS_SHOWN = 50
"""In the story of one reminder; a line that fires every minute has thousands."""
EXCERPT = 200
FIRST = -(2**62)
"""Before every instant that there is."""


async def list_reminders(reader: Reader, caller: Caller, request: RemindersList) -> RemindersListed:
    """List reminders by their next firing; those that are over by their last one. A damaged row shows as broken.

    Raises:
        Denied: another agent's. Unknown: no such agent, or `after` is no reminder of the caller's.
    """
    agent = await _whose(reader, caller, request.agent)
    nominal, number = FIRST, 0
    if request.after is not None:
        row = await _own(reader, caller, request.after)
        nominal, number = row["nominal_at"], row["id"]
    query = "reminders.every" if request.all else "reminders.waiting"
    rows = await reader.all(query, agent=agent, nominal=nominal, id=number, limit=request.limit + 1)
    shown: list[Reminder] = []
    size = 0
    for row in rows[: request.limit]:
        size += len(row["body"])
        if shown and size > PAGE_BYTES:
            break
        shown.append(reminder_of(row))
    return RemindersListed(reminders=shown, more=len(rows) > len(shown))


async def _whose(reader: Reader, caller: Caller, name: str | None) -> str | None:
    """Give whose reminders are meant; None is everybody's."""
    if caller.kind == "agent":
        if name not in (None, caller.name):
            raise Denied("an agent sees only its own reminders")
        return caller.name
    if name is not None and await reader.one("agents.agent", name=name) is None:
        raise Unknown(f"no agent {name!r} in this fleet; `queenpost agent list` shows them")
    return name


async def _own(reader: Reader, caller: Caller, reminder: str) -> Any:
    try:
        row = await reader.one("reminders.one", id=reminder_number(reminder))
    except QueenpostError:
        raise unknown("reminder", reminder) from None
    if row is None or not is_owner(caller, row):
        raise unknown("reminder", reminder)
    return row


async def stats(reader: Reader, caller: Caller, request: RemindersStats, now_ms: int) -> RemindersCounted:
    """Count firings since an instant, by agent, and the failures of what waits.

    Raises:
        Denied: another agent's. Unknown: no such agent.
    """
    agent = await _whose(reader, caller, request.agent)
    since = now_ms - DAY_MS if request.since_ms is None else request.since_ms
    if agent is None:
        fired = await reader.all("reminders.fired_since", since=since)
    else:
        fired = await reader.all("reminders.fired_by_since", agent=agent, since=since)
    failed = {row["agent"]: row["n"] for row in await reader.all("reminders.failed", agent=agent)}
    attempts: dict[str, dict[str, int]] = {}
    for row in fired:
        attempts.setdefault(row["agent"], {})[str(row["attempts"])] = row["n"]
    counts = [
        ReminderCounts(
            agent=name,
            delivered=sum(attempts.get(name, {}).values()),
            attempts=attempts.get(name, {}),
            failed=failed.get(name, 0),
        )
        for name in sorted(attempts.keys() | failed.keys())
    ]
    return RemindersCounted(since_ms=since, agents=counts)


async def explain(reader: Reader, caller: Caller, request: RemindersExplain, now_ms: int) -> Explained:
    """Tell the story of a reminder: when it fires, why it does not, and which mail came of it.

    Raises:
        Unknown: none that is the caller's.
    """
    row = await _own(reader, caller, request.reminder)
    reminder = reminder_of(row)
    firings = await reader.all("reminders.firings_of", id=row["id"], limit=FIRINGS_SHOWN)
    audited = await reader.all("audit.of", subject=reminder.id)
    history = [
        Happening(at_ms=row["made_at"], event="set", detail=f"by {row['made_by']}"),
        *(_fired(firing) for firing in firings),
        *(
            Happening(at_ms=one["at"], event="retried", detail=f"by {one['principal']}")
            for one in audited
            if one["action"] == "reminder.retried"  # the other acts stand in its row
        ),
    ]
    if row["state"] == "cancelled":
        history.append(Happening(at_ms=row["ended_at"], event="cancelled", detail=reminder.reason or ""))
    return Explained(
        id=reminder_id(row["id"]),
        noun="reminder",
        state=row["state"],
        waits_for=_waits_for(reminder, row["nominal_at"], now_ms),
        facts=_facts(reminder, elapsed=bool(row["elapsed"])),
        history=sorted(history, key=lambda step: step.at_ms),
    )


def _fired(firing: Any) -> Happening:
    missed = f", {firing['missed']} earlier ones missed" if firing["missed"] else ""
    attempts = f", attempt {firing['attempts']}" if firing["attempts"] > 1 else ""
    detail = f"{message_id(firing['message'])} for {iso_of(firing['nominal_at'])}{missed}{attempts}"
    return Happening(at_ms=firing["fired_at"], event="fired", detail=detail)


def _waits_for(reminder: Reminder, nominal_ms: int, now_ms: int) -> str | None:
    if reminder.state == "parked":
        return (
            f"somebody who tries it again: {reminder.attempts} attempts failed ({reminder.reason}); "
            f"`queenpost reminders --retry {reminder.id}`"
        )
    if reminder.next_at_ms is None:
        return None
    if reminder.attempts:
        return f"the next attempt at {iso_of(reminder.next_at_ms)}: {reminder.attempts} failed ({reminder.reason})"
    if nominal_ms <= now_ms:
        return f"the timekeeper: it is due since {iso_of(nominal_ms)}"
    return f"its time, {iso_of(nominal_ms)}"


def _facts(reminder: Reminder, *, elapsed: bool) -> dict[str, str]:
    text = "[broken: the stored text does not match its checksum]" if reminder.broken else reminder.message[:EXCERPT]
    how = f"cron {reminder.cron} in {reminder.zone}" if reminder.cron else "after a delay" if elapsed else "once"
    return {"agent": reminder.agent, "message": text, "when": how, "fired": str(reminder.fired)}
