"""Reminders in a fake office: `remind(office, alice, delay_s=60)` is committed at once, `adding` only made."""

from broker.services import reminders
from broker.services.callers import Caller
from broker.services.replies import once
from broker.store.tx import Row
from tests.fakes.office import Call, FakeOffice, kept
from wire.inbox import About
from wire.reminders import Reminder, RemindersAdd, RemindersAdded, RemindersCancel, RemindersChanged, RemindersRetry

TEXT = "look at the queue"


def adding(
    office: FakeOffice,
    caller: Caller,
    message: str = TEXT,
    *,
    delay_s: float | None = None,
    at: str | None = None,
    cron: str | None = None,
    zone: str | None = None,
    agent: str | None = None,
    key: str | None = None,
) -> Call[RemindersAdded]:
    """Make the command that sets a reminder; the key makes it repeatable."""
    request = RemindersAdd(
        key=key or office.key(), message=message, delay_s=delay_s, at=at, cron=cron, zone=zone, agent=agent
    )
    rules = office.rules
    return Call(
        office,
        lambda tx: once(tx, caller, request, RemindersAdded, lambda: reminders.add(tx, caller, request, rules)),
    )


def remind(
    office: FakeOffice,
    caller: Caller,
    message: str = TEXT,
    *,
    delay_s: float | None = None,
    at: str | None = None,
    cron: str | None = None,
    zone: str | None = None,
    agent: str | None = None,
    key: str | None = None,
) -> str:
    """Set a reminder; gives its id."""
    call = adding(office, caller, message, delay_s=delay_s, at=at, cron=cron, zone=zone, agent=agent, key=key)
    office.commit(call)
    return call.get().id


def cancel(office: FakeOffice, caller: Caller, reminder: str, key: str | None = None) -> Reminder:
    """Take a reminder back."""
    request = RemindersCancel(key=key or office.key(), reminder=reminder)
    return office.do(kept(reminders.cancel, caller, request, RemindersChanged)).reminder


def retry(office: FakeOffice, caller: Caller, reminder: str, key: str | None = None) -> Reminder:
    """Try a parked reminder again."""
    request = RemindersRetry(key=key or office.key(), reminder=reminder)
    return office.do(kept(reminders.retry, caller, request, RemindersChanged)).reminder


def row_of(office: FakeOffice, reminder: str) -> Row:
    """Give the stored row of a reminder."""
    return office.row("SELECT * FROM reminders WHERE id = :id", id=int(reminder[1:]))


def firings_of(office: FakeOffice, reminder: str) -> list[Row]:
    """Give what a reminder has fired so far, oldest first."""
    return office.rows("SELECT * FROM firings WHERE reminder = :id ORDER BY nominal_at", id=int(reminder[1:]))


def mail_of(office: FakeOffice, agent: str) -> list[tuple[str, About]]:
    """Give the reminder mail that somebody ever got: (body, what it is about), oldest first."""
    rows = office.rows(
        "SELECT m.body, m.about FROM messages m JOIN deliveries d ON d.message = m.id "
        "WHERE m.kind = 'reminder' AND d.recipient = :name ORDER BY m.id",
        name=agent,
    )
    return [(row["body"], About.model_validate_json(row["about"])) for row in rows]


def drain(office: FakeOffice) -> list[int]:
    """Do what is due until nothing is; gives how many reminders each transaction fired."""
    counts: list[int] = []
    while office.last.due_ms is not None and office.last.due_ms <= office.clock.now_ms():
        before = office.row("SELECT count(*) AS n FROM firings")["n"]
        office.due()
        counts.append(office.row("SELECT count(*) AS n FROM firings")["n"] - before)
    return counts
