"""Recall: take back mail that no turn holds. What a turn has had cannot be unread; it is listed instead."""

import json

from broker.services import audit
from broker.services.callers import OPERATOR, Caller
from broker.services.views import SHOWN
from broker.store.tx import Row, Tx
from wire.errors import Denied
from wire.ids import message_id, message_number, turn_id, unknown
from wire.letters import Beyond, InboxRecall, InboxRecalled

UNLEASED = ("scheduled", "ready", "held")
MOST_MESSAGES = 1_000
"""Messages of one family that are looked at, the newest first."""
MOST_COPIES = 5_000
"""The answer lists each of them and has to fit into a frame."""


def recall(tx: Tx, caller: Caller, request: InboxRecall) -> InboxRecalled:
    """Let every copy that nobody has leased become dead; it can be neither requeued nor released.

    With `descendants` also what was sent in turns that held the message, and so on. Nobody is told: whoever never
    saw it misses nothing. An ask whose mail is recalled stays open.

    Raises:
        Unknown: no such message, or an agent did not send it. Denied: an agent asks for descendants.
    """
    number = message_number(request.message)
    row = tx.one("letters.sender", message=number)
    if row is None or (caller.kind == "agent" and row["sender"] != caller.name):
        raise unknown("message", request.message)
    family = [number]
    if request.descendants:
        if caller.kind == "agent":
            raise Denied("only the operator recalls what others sent because of a message; recall your own one by one")
        family = [one["id"] for one in tx.all("letters.family", message=number, most=MOST_MESSAGES + 1)]
    kept = json.dumps(family[:MOST_MESSAGES])
    copies = tx.all("letters.copies_of", messages=kept, most=MOST_COPIES + 1)
    more = len(family) > MOST_MESSAGES or len(copies) > MOST_COPIES
    copies = copies[:MOST_COPIES]
    taken = [copy for copy in copies if copy["state"] in UNLEASED]
    if taken:
        _take_back(tx, caller, message_id(number), taken, descendants=request.descendants)
    beyond = [_beyond(copy) for copy in copies if copy["state"] not in UNLEASED]
    return InboxRecalled(recalled=_names(taken), beyond=beyond, more=more)


def _names(rows: list[Row]) -> list[str]:
    return [f"{message_id(row['message'])}/{row['recipient']}" for row in rows]


def _take_back(tx: Tx, caller: Caller, message: str, rows: list[Row], *, descendants: bool) -> None:
    by = "the operator" if caller.name == OPERATOR else caller.name
    ids = json.dumps([row["id"] for row in rows])
    tx.run("letters.recall", ids=ids, reason=f"recalled by {by}", now=tx.now_ms)
    counted: dict[str, list[int]] = {}
    for row in rows:
        if row["state"] != "held":  # held mail has left the quota already
            counted.setdefault(row["recipient"], []).append(row["bytes"])
    out = [{"recipient": name, "messages": -len(sizes), "bytes": -sum(sizes)} for name, sizes in counted.items()]
    if out:
        tx.run_each("inbox.count_one_in", out)
    for name in counted:
        tx.woke(name)  # what stood behind it may go ahead
    recalled = _names(rows)
    if caller.kind == "agent":
        tx.log("message_recalled", message=message, principal=caller.principal, recalled=recalled)
    else:
        audit.write(tx, caller, "message.recalled", message, recalled=recalled, descendants=descendants)


def _beyond(row: Row) -> Beyond:
    turn = turn_id(row["turn"]) if row["turn"] is not None and row["state"] in ("leased", "acked") else None
    return Beyond(id=message_id(row["message"]), recipient=row["recipient"], state=SHOWN[row["state"]], turn=turn)
