"""Who is told what of a job: mail to whoever registered it, asks and alarms to the operator. It decides on no event."""

import json

from broker.services import notices
from broker.services.ask_mail import digest_of
from broker.services.callers import OPERATOR
from broker.store.tx import Row, Tx
from wire.asks import DEFAULT_TTL_OPERATOR_S, MAX_OPEN
from wire.errors import Unknown
from wire.escaping import escape
from wire.events import Event
from wire.ids import ask_number
from wire.inbox import About
from wire.jobs import DETAIL_SHOWN, permission_question


def ended(tx: Tx, guard: Row, event: Event, by: str | None = None) -> None:
    """Tell whoever registered a job and wished to know that it has ended; not the one who ended it."""
    if by == guard["made_by"]:
        return
    _tell(tx, guard, event, f"job {event.job_id} has ended: {event.event}.{_words(event)}")


def permission_required(tx: Tx, guard: Row, event: Event) -> None:
    """Put a permission that was published from outside the fleet to the operator. From a turn: its harness has asked.

    An event carries no authority: it opens an ask, and a person decides. Equal ones are one ask while that is open,
    and a job has only so many open at once.
    """
    if guard["turn"] is not None:
        _link(tx, guard, event)
        return
    question = permission_question(event.job_id, guard["claimed_by"], event.detail)
    open_now = tx.all("jobs.open_asks_of", job=event.job_id)
    if len(open_now) >= MAX_OPEN or any(one["question_sha256"] == digest_of(question) for one in open_now):
        tx.log("job_permission_not_asked_again", job=event.job_id, open=len(open_now))
        return
    number = tx.insert(
        "asks.add",
        kind="question",
        asker=guard["made_by"] if notices.can_receive(tx, guard["made_by"]) else OPERATOR,
        target=OPERATOR,
        question=question,
        question_sha256=digest_of(question),
        options=json.dumps(["allow", "deny"]),
        multi=0,
        turn=None,
        now=tx.now_ms,
        deadline_at=tx.now_ms + DEFAULT_TTL_OPERATOR_S * 1000,
    )
    tx.run("jobs.link_ask", ask=number, job=event.job_id)
    _tell(tx, guard, event, f"job {event.job_id} waits for a permission; the operator is asked.{_words(event)}")


def _link(tx: Tx, guard: Row, event: Event) -> None:
    """Note on the ask that the harness has put which job waits for it; only on one of this agent and turn."""
    try:
        number = ask_number(str(event.data.get("ask")))
    except Unknown:
        return
    tx.run("jobs.link_own_ask", ask=number, job=event.job_id, agent=guard["claimed_by"], turn=guard["turn"])


def conflicting(tx: Tx, guard: Row, event: Event) -> None:
    """Raise the alarm: a job that has ended says another end."""
    text = f"job {event.job_id} had ended ({guard['state']}) and now says {event.event}; the first end stands."
    notices.tell(tx, OPERATOR, text, cause=f"job:{event.job_id}", carrying=About(job=event.job_id))
    tx.log("job_event_conflicting", job=event.job_id, name=event.event)


def equivocation(tx: Tx, guard: Row, event: Event) -> None:
    """Raise the alarm: one sequence number was signed twice, with different content. Somebody has the secret."""
    text = (
        f"job {event.job_id}: two different events were signed as number {event.seq} of claim {event.epoch}; the first "
        f"stands. Its publisher ({guard['claimed_by']}) is broken, or its secret is known to somebody else: cancel it."
    )
    notices.tell(tx, OPERATOR, text, cause=f"job:{event.job_id}", carrying=About(job=event.job_id))
    tx.log("job_event_equivocation", job=event.job_id, seq=event.seq)


def is_told(tx: Tx, row: Row) -> bool:
    """Say whether whoever registered a job wished to be told of it, and is still part of the fleet."""
    return bool(row["notify"]) and notices.can_receive(tx, row["made_by"])


def wake_watchers(tx: Tx, guard: Row) -> None:
    """Let those look again who wait for something of this job."""
    for name in {OPERATOR, guard["made_by"], guard["assigned"], guard["claimed_by"]} - {None}:
        tx.woke(name)


def _tell(tx: Tx, guard: Row, event: Event, text: str) -> None:
    if guard["made_by"] != OPERATOR and is_told(tx, guard):
        notices.tell(tx, guard["made_by"], text, cause=f"job:{event.job_id}", carrying=About(job=event.job_id))


def _words(event: Event) -> str:
    """Give what the publisher said, as a quotation on one line: it is not trusted."""
    return f' It says: "{_line(event.detail)}"' if event.detail else ""


def _line(text: str) -> str:
    return escape(" ".join(text.split()))[:DETAIL_SHOWN]
