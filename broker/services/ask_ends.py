"""How asks end without an answer: with their deadline, their turn, or one of the two that they concern.

An ask that somebody withdraws, and every answer, is in `asks`. All of it is compare-and-set on `open`.
"""

import json
from collections.abc import Iterable

from broker.services import notices
from broker.services.callers import OPERATOR
from broker.store.tx import Row, Tx
from wire.asks import MAX_TTL_S
from wire.ids import ask_id
from wire.inbox import About

PER_TRANSACTION = 100
"""Deadlines that are acted on at once; what remains is due at once again."""

WITHDRAWN = "the ask was withdrawn"
TOO_LATE = "the deadline of the ask passed before it was handed over"


def withdraw_mail(tx: Tx, messages: Iterable[int | None], reason: str) -> None:
    """Let the mail of asks expire where no turn has it; what a turn holds is settled with that turn."""
    numbers = [message for message in messages if message is not None]
    rows = tx.all("asks.waiting_mail", messages=json.dumps(numbers)) if numbers else []
    if not rows:
        return
    ids = json.dumps([row["id"] for row in rows])
    tx.run("inbox.settle", ids=ids, state="expired", reason=reason, now=tx.now_ms)
    for recipient in dict.fromkeys(row["recipient"] for row in rows):
        # Held mail has left the quota already.
        counted = [row for row in rows if row["recipient"] == recipient and row["state"] != "held"]
        size = sum(row["bytes"] for row in counted)
        tx.run("inbox.count_one_in", recipient=recipient, messages=-len(counted), bytes=-size)
        tx.woke(recipient)  # what stood behind it may go ahead


def tell_end(tx: Tx, recipient: str, ask: Row, text: str) -> None:
    """Tell one side how an ask ended; many that end between the same two within a minute are one notice."""
    other = ask["target"] if recipient == ask["asker"] else ask["asker"]
    carrying = About(ask=ask_id(ask["id"]), part="end")
    notices.tell(tx, recipient, text, cause=f"asks:{other}", about=ask["message"], carrying=carrying)


def expire_due(tx: Tx, limit: int = PER_TRANSACTION) -> int:
    """Close what was not answered in time, the oldest first; gives how many. Whoever put a question is told."""
    rows = tx.all("asks.expire", now=tx.now_ms, limit=limit)
    withdraw_mail(tx, [row["message"] for row in rows], TOO_LATE)
    for row in sorted(rows, key=_number):
        ask = ask_id(row["id"])
        if row["kind"] == "question" and row["about"] is None:
            text = f"{row['target']} did not answer {ask} in time; it is closed. Ask again if it still matters."
            tell_end(tx, row["asker"], row, text)
        ended(tx, row, "expired")
    return len(rows)


def cancel_of_turn(tx: Tx, turn: int) -> None:
    """End the permissions that were asked in a turn: nobody waits for them any more."""
    _cancelled(tx, tx.all("asks.cancel_of_turn", turn=turn, now=tx.now_ms))


def cancel_of_lapsed(tx: Tx, agent: str) -> None:
    """The same for an agent's lapsed turns; to be called before they are buried."""
    _cancelled(tx, tx.all("asks.cancel_of_lapsed", agent=agent, now=tx.now_ms))


def cancel_of_agent(tx: Tx, agent: str) -> int:
    """Close all that a removed agent asked and was asked; each other side gets one notice. Gives how many.

    To be called before its waiting mail is buried: the questions in it are told of here, and only here.
    """
    rows = sorted(tx.all("asks.cancel_of_agent", agent=agent, now=tx.now_ms), key=_number)
    _cancelled(tx, rows)
    told: dict[str, list[Row]] = {}
    for row in rows:
        other = row["target"] if row["asker"] == agent else row["asker"]
        # The operator reads the list, and a permission's asker is the harness that waits.
        if other == row["target"] != OPERATOR or (other == row["asker"] and row["kind"] == "question"):
            told.setdefault(other, []).append(row)
    for other, asks in told.items():
        names = ", ".join(ask_id(row["id"]) for row in asks)
        tell_end(tx, other, asks[0], f"{agent} was removed from the fleet, so nobody answers or awaits {names} now.")
    return len(rows)


def cancel_of_job(tx: Tx, job: str) -> None:
    """End what was asked for a job that has ended: nobody needs the answer."""
    _cancelled(tx, tx.all("asks.cancel_of_job", job=job, now=tx.now_ms))


def _cancelled(tx: Tx, rows: list[Row]) -> None:
    withdraw_mail(tx, [row["message"] for row in rows], WITHDRAWN)
    for row in rows:
        ended(tx, row, "cancelled")


def ended(tx: Tx, row: Row, state: str) -> None:
    """Say that an ask is over: to the log, and to whoever waits for it."""
    tx.woke(row["asker"])
    if row["job"] is not None:
        tx.woke(OPERATOR)  # who watches that job
    tx.log("ask_ended", ask=ask_id(row["id"]), asker=row["asker"], target=row["target"], state=state)


def _number(row: Row) -> int:
    return row["id"]


def shift_clock(tx: Tx, step_ms: int) -> None:
    """The clock was set: what is left of each deadline stays as it was."""
    tx.run("asks.shift_deadlines", step=step_ms, latest=latest_deadline(tx))


def clamp_clock(tx: Tx) -> None:
    """The clock may have been set back while the broker was away: no ask outlives the longest that there is."""
    tx.run("asks.clamp_deadlines", latest=latest_deadline(tx))


def latest_deadline(tx: Tx) -> int:
    """When the longest ask that is put now ends."""
    return tx.now_ms + MAX_TTL_S * 1000
