"""What an operator does with letters: read the mailbox, requeue dead ones, release held ones, discard either."""

import json
from collections.abc import Iterable

from broker.services import audit, leasing, storms
from broker.services.callers import Caller
from broker.services.views import SHOWN
from broker.store.tx import Row, Tx
from wire.errors import Conflict, Invalid
from wire.ids import message_id, message_number, turn_id, unknown
from wire.inbox import InboxAck, InboxAcked, InboxChanged, InboxDiscard, InboxRequeue
from wire.letters import InboxRelease

SHOWN_COPIES = 6
"""Of a broadcast, in the words of an error."""


def ack(tx: Tx, caller: Caller, request: InboxAck) -> InboxAcked:
    """Mark operator mail as read. Ids that are read already are left alone; an id of other mail is an error.

    Raises:
        Invalid: neither ids nor all. Unknown: no mail in the operator's mailbox has this id.
    """
    if bool(request.ids) == request.all:
        raise Invalid("name the messages to mark as read, or all of them, not both")
    wanted = [message_number(text) for text in request.ids]
    rows = tx.all("inbox.unread", all=int(request.all), ids=json.dumps(wanted))
    for number in set(wanted) - {row["message"] for row in rows}:
        if tx.one("inbox.operator_has", message=number) is None:
            raise unknown("message", message_id(number))
    if rows:
        ids = json.dumps([row["id"] for row in rows])
        tx.run("inbox.settle", ids=ids, state="acked", reason=None, now=tx.now_ms)
        size = sum(row["bytes"] for row in rows)
        tx.run("inbox.count_one_in", recipient="operator", messages=-len(rows), bytes=-size)
        read = [message_id(row["message"]) for row in rows]
        audit.write(tx, caller, "mailbox.read", "operator", mail=read)
    return InboxAcked(ids=[message_id(row["message"]) for row in rows])


def requeue(tx: Tx, caller: Caller, request: InboxRequeue) -> InboxChanged:
    """Give dead letters back under the same ids, at the end of the inbox, with a fresh budget.

    Raises:
        Unknown: no dead letter of this id. Conflict: its recipient was removed.
    """
    changed: list[str] = []
    for row in _dead(tx, request.ids, request.recipient):
        if row["recipient_state"] == "removed":
            raise Conflict(f"{row['recipient']} was removed; add the agent again before its mail is requeued")
        tx.run("inbox.requeue", id=row["id"])
        tx.run("inbox.count_one_in", recipient=row["recipient"], messages=1, bytes=row["bytes"])
        tx.woke(row["recipient"])
        audit.write(tx, caller, "message.requeued", message_id(row["message"]), recipient=row["recipient"])
        changed.append(f"{message_id(row['message'])}/{row['recipient']}")
    return InboxChanged(changed=changed)


def discard(tx: Tx, caller: Caller, request: InboxDiscard) -> InboxChanged:
    """Take dead letters off the list, let held ones become dead; all stay explainable.

    Raises:
        Unknown: no dead letter and no held one of this id.
    """
    changed: list[str] = []
    for row in _dead_or_held(tx, request.ids, request.recipient):
        if row["state"] == "held":
            reason = f"discarded by the operator; it was held: {row['reason']}"
            tx.run("letters.end_held", id=row["id"], reason=reason, now=tx.now_ms)
        else:
            tx.run("inbox.discard", id=row["id"], now=tx.now_ms)
        audit.write(tx, caller, "message.discarded", message_id(row["message"]), recipient=row["recipient"])
        changed.append(f"{message_id(row['message'])}/{row['recipient']}")
    return InboxChanged(changed=changed)


def _dead(tx: Tx, ids: Iterable[str], recipient: str | None) -> list[Row]:
    found: list[Row] = []
    for text in dict.fromkeys(ids):
        rows = tx.all("inbox.dead_of", message=message_number(text), recipient=recipient)
        if not rows:
            raise unknown("dead letter", text)
        found.extend(rows)
    return found


def _dead_or_held(tx: Tx, ids: Iterable[str], recipient: str | None) -> list[Row]:
    found: list[Row] = []
    for text in dict.fromkeys(ids):
        copies = tx.all("letters.copies", message=message_number(text), recipient=recipient)
        rows = [row for row in copies if row["state"] == "held" or _is_listed_dead(row)]
        if not rows:
            raise unknown("dead or held letter", text)
        found.extend(rows)
    return found


def _is_listed_dead(row: Row) -> bool:
    return row["state"] == "dead" and row["discarded_at"] is None


def release(tx: Tx, caller: Caller, request: InboxRelease) -> InboxChanged:
    """Let held mail go on, under the same ids, at the end of the inbox, with a fresh budget for it and for its pair.

    Raises:
        Unknown: no such message. Conflict: it is not held any more, it is damaged, or its recipient was removed.
    """
    changed: list[str] = []
    for text in dict.fromkeys(request.ids):
        for row in _held(tx, text, request.recipient):
            tx.run("inbox.requeue", id=row["id"])
            tx.run("inbox.count_one_in", recipient=row["recipient"], messages=1, bytes=row["bytes"])
            storms.forgive_pair(tx, row["sender"], row["recipient"])
            tx.woke(row["recipient"])
            audit.write(tx, caller, "message.released", message_id(row["message"]), recipient=row["recipient"])
            changed.append(f"{message_id(row['message'])}/{row['recipient']}")
    return InboxChanged(changed=changed)


def _held(tx: Tx, text: str, recipient: str | None) -> list[Row]:
    copies = tx.all("letters.copies", message=message_number(text), recipient=recipient)
    if not copies:
        raise unknown("message", text)
    held = [row for row in copies if row["state"] == "held"]
    if not held:
        states = ", ".join(f"{_state_words(row)} for {row['recipient']}" for row in copies[:SHOWN_COPIES])
        raise Conflict(f"{text} is not held: it is {states}; nothing was changed")
    for row in held:
        if not leasing.is_intact(row):
            raise Conflict(f"{text} is damaged: {leasing.BROKEN}. It cannot be released; discard it and send it anew.")
        if row["recipient_state"] == "removed":
            raise Conflict(f"{row['recipient']} was removed; add the agent again before its mail is released")
    return held


def _state_words(row: Row) -> str:
    word = SHOWN[row["state"]].replace("_", " ")
    if row["turn"] is None or row["state"] not in ("leased", "acked"):
        return word
    return f"in turn {turn_id(row['turn'])}" if row["state"] == "leased" else f"{word} in turn {turn_id(row['turn'])}"
