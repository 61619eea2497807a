"""Admission: may this principal send this now? Body, bucket, quota, disk; and who is meant.

Whom it may write to is decided in `policy`. Nothing is written here.
"""

from dataclasses import dataclass

from broker.services.callers import OPERATOR, Caller, Rules
from broker.store.tx import Row, Tx
from wire.errors import Denied, Full, Invalid, Limited, QueenpostError, Unknown
from wire.ids import message_number

FROZEN = "{0} is frozen by the operator: nothing was stored. End your work; the operator thaws it with `queenpost thaw`"


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender as the transaction sees it."""

    name: str
    role: str
    settings: str
    bucket: float
    depth: int
    turn: int | None
    attended_turn: bool
    answers: int | None = None
    """The message that it answers, where it sent or received that."""
    open_ask: int | None = None
    """The ask that this message put to it, while it is open."""


def check_body(body: str, rules: Rules) -> None:
    """Refuse a body that is too long.

    Raises:
        Invalid: says what to do instead.
    """
    size = len(body.encode())
    if size > rules.limits.body_bytes:
        raise Invalid(
            f"the body has {size} bytes, at most {rules.limits.body_bytes} are accepted; "
            "write it to a file and send the path"
        )


def sender_of(tx: Tx, caller: Caller, rules: Rules, in_reply_to: str | None = None) -> Sender:
    """Give the sender, with one token less in its bucket; and whether it was a party to what it answers.

    Raises:
        Unknown: it was removed. Denied: it is frozen. Full: the disk. Limited: it sends too fast.
    """
    row = _known(tx, caller, _number(in_reply_to))
    if caller.name != OPERATOR and rules.disk_is_low:
        raise Full("the disk of the broker is nearly full; nothing was stored. Tell the operator, then try again.")
    return _sender(row, caller, bucket=0.0 if caller.name == OPERATOR else _spend(row, tx.now_ms, rules))


def unmetered(tx: Tx, caller: Caller) -> Sender:
    """Give the sender of what has headroom of its own: an answer, and what a harness asks. It costs no token.

    Raises:
        Unknown: it was removed. Denied: it is frozen.
    """
    row = _known(tx, caller)
    return _sender(row, caller, bucket=row["bucket"])


def _number(in_reply_to: str | None) -> int | None:
    try:
        return None if in_reply_to is None else message_number(in_reply_to)
    except QueenpostError:
        return None


def _known(tx: Tx, caller: Caller, reply: int | None = None) -> Row:
    row = tx.one("inbox.sender", name=caller.name, reply=reply)
    if row is None or row["state"] == "removed":
        raise Unknown(f"{caller.name} is not part of the fleet any more")
    if row["frozen"] and caller.name != OPERATOR:
        raise Denied(FROZEN.format(caller.name))
    return row


def _sender(row: Row, caller: Caller, bucket: float) -> Sender:
    if caller.name == OPERATOR:
        return Sender(OPERATOR, "operator", "{}", bucket, 0, None, False, row["answers"])
    # What a fenced instance sends is not of its successor's turn, and settles nothing in it.
    in_turn = row["turn"] is not None and caller.epoch in (None, row["turn_epoch"])
    return Sender(
        name=row["name"],
        role=row["role"],
        settings=row["settings"],
        bucket=bucket,
        depth=1 + (row["turn_depth"] if in_turn else 0),
        turn=row["turn"] if in_turn else None,
        attended_turn=in_turn and bool(row["turn_attended"]),
        answers=row["answers"],
        open_ask=row["open_ask"],
    )


def _spend(row: Row, now_ms: int, rules: Rules) -> float:
    """Take one token; a bucket that was never used is full."""
    burst, per_minute = rules.limits.send_burst, rules.limits.send_per_minute
    refilled = (
        burst if not row["bucket_at"] else row["bucket"] + max(now_ms - row["bucket_at"], 0) * per_minute / 60_000
    )
    tokens = min(float(burst), refilled)
    if tokens < 1.0:
        wait_ms = int((1.0 - tokens) * 60_000 / per_minute) + 1
        raise Limited(
            f"{row['name']} sends too fast (limit {per_minute:g} a minute after a burst of {burst}); "
            f"try again in {wait_ms / 1000:.1f} s",
            retry_after_ms=wait_ms,
        )
    return tokens - 1.0


def recipient_of(tx: Tx, to: str) -> Row:
    """Give the mailbox that is meant; `manager` is whoever has that role now.

    Raises:
        Unknown: there is none.
    """
    row = tx.one("inbox.manager") if to == "manager" else tx.one("inbox.recipient", name=to)
    if row is not None and row["state"] != "removed":
        return row
    if to == "manager":
        raise Unknown("this fleet has no manager; write to an agent or to operator")
    raise Unknown(f"no agent {to!r} in this fleet; whoami lists the agents")


def check_room(recipient: Row, size: int, caller: Caller, rules: Rules) -> None:
    """Refuse mail for a full inbox. The operator's uses reserved headroom: it is always admitted.

    Raises:
        Full: nothing was stored.
    """
    if caller.name == OPERATOR:
        return
    limits = rules.limits
    if recipient["inbox_messages"] + 1 > limits.inbox_messages or recipient["inbox_bytes"] + size > limits.inbox_bytes:
        raise Full(
            f"the inbox of {recipient['name']} is full ({recipient['inbox_messages']} messages wait); "
            "nothing was stored. Wait until it has worked some off."
        )
