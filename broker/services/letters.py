"""What an operator does with letters: read the mailbox, requeue and discard dead ones."""

import json
from collections.abc import Iterable

from broker.services import audit
from broker.services.callers import Caller
from broker.store.tx import Row, Tx
from wire.errors import Conflict, Invalid
from wire.ids import message_id, message_number, unknown
from wire.inbox import InboxAck, InboxAcked, InboxChanged, InboxDiscard, InboxRequeue


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
    """Take dead letters off the list; they stay dead and explainable.

    Raises:
        Unknown: no dead letter of this id.
    """
    changed: list[str] = []
    for row in _dead(tx, request.ids, request.recipient):
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
