"""Sending: the one way into an inbox. Accepted means committed; refused means nothing was stored."""

import hashlib
import json
from dataclasses import dataclass

from broker.services import policy, settling
from broker.services.callers import OPERATOR, Caller, Rules
from broker.store.tx import Row, Tx
from wire.errors import Conflict, Denied, Full, Invalid, Limited, QueenpostError, Unknown
from wire.escaping import rendered_bytes
from wire.ids import message_id, message_number
from wire.inbox import InboxSend, InboxSent, Skipped

NO_PARTY = "in_reply_to {0!r} was left out: you neither sent nor received that message"
STOPPED = "{0} is stopped: the message waits until the agent is part of the fleet again"


@dataclass(frozen=True, slots=True)
class _Sender:
    """The sender as the transaction sees it."""

    name: str
    role: str
    settings: str
    bucket: float
    depth: int
    turn: int | None
    attended_turn: bool


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What goes into the message row."""

    body: str
    size: int
    digest: bytes
    in_reply_to: int | None
    warnings: list[str]


def send(tx: Tx, caller: Caller, request: InboxSend, rules: Rules) -> InboxSent:
    """Accept a message; durable once answered.

    Idempotent by key for as long as the message is kept: the same request gives the first receipt again. The key
    is looked at before quota and policy, so a retry of what was accepted is never refused.

    Raises:
        Unknown: no such recipient. Denied: the allow-list. Conflict: the key was used with other content.
        Invalid: body too long. Limited: sending too fast. Full: inbox or disk.
    """
    digest = _digest(request)
    earlier = tx.one("inbox.find_key", sender=caller.name, key=request.key)
    if earlier is not None:
        return _again(earlier, request, digest)
    _check_body(request.body, rules)
    sender = _sender(tx, caller, rules)
    if request.to == "*":
        return _broadcast(tx, caller, sender, request, digest, rules)
    recipient = _recipient(tx, request.to)
    if recipient["name"] == sender.name:
        raise Invalid("a message to yourself goes nowhere: keep a note, or set a reminder")
    policy.require_may_write(sender.name, sender.role, sender.settings, recipient["name"], recipient["role"])
    envelope = _envelope(tx, sender.name, request)
    _check_room(recipient, envelope.size, caller, rules)
    if recipient["state"] == "stopped":
        envelope.warnings.append(STOPPED.format(recipient["name"]))
    return _deliver_one(tx, caller, sender, recipient["name"], request, envelope, digest)


def _digest(request: InboxSend) -> bytes:
    # As JSON the head holds no NUL, so the parts cannot run into each other.
    head = json.dumps([request.to, request.in_reply_to])
    return hashlib.sha256(f"{head}\0{request.body}".encode()).digest()


def _again(row: Row, request: InboxSend, digest: bytes) -> InboxSent:
    if row["request_sha256"] != digest:
        raise Conflict(
            f"key {request.key!r} was already used for {message_id(row['id'])} with other content; use a new key"
        )
    told = json.loads(row["receipt"]) if row["receipt"] else {"recipients": [row["addressed_to"]]}
    receipt = {"id": message_id(row["id"]), "to": row["addressed_to"], "duplicate": True} | told
    return InboxSent.model_validate(receipt)


def _check_body(body: str, rules: Rules) -> None:
    size = len(body.encode())
    if size > rules.limits.body_bytes:
        raise Invalid(
            f"the body has {size} bytes, at most {rules.limits.body_bytes} are accepted; "
            "write it to a file and send the path"
        )


def _sender(tx: Tx, caller: Caller, rules: Rules) -> _Sender:
    row = tx.one("inbox.sender", name=caller.name)
    if row is None or row["state"] == "removed":
        raise Unknown(f"{caller.name} is not part of the fleet any more")
    if caller.name == OPERATOR:
        return _Sender(OPERATOR, "operator", "{}", 0.0, 0, None, False)
    if rules.disk_is_low:
        raise Full("the disk of the broker is nearly full; nothing was stored. Tell the operator, then try again.")
    # What a fenced instance sends is not of its successor's turn, and settles nothing in it.
    in_turn = row["turn"] is not None and caller.epoch in (None, row["turn_epoch"])
    return _Sender(
        name=row["name"],
        role=row["role"],
        settings=row["settings"],
        bucket=_spend(row, tx.now_ms, rules),
        depth=1 + (row["turn_depth"] if in_turn else 0),
        turn=row["turn"] if in_turn else None,
        attended_turn=in_turn and bool(row["turn_attended"]),
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


def _recipient(tx: Tx, to: str) -> Row:
    row = tx.one("inbox.manager") if to == "manager" else tx.one("inbox.recipient", name=to)
    if row is not None and row["state"] != "removed":
        return row
    if to == "manager":
        raise Unknown("this fleet has no manager; write to an agent or to operator")
    raise Unknown(f"no agent {to!r} in this fleet; whoami lists the agents")


def _check_room(recipient: Row, size: int, caller: Caller, rules: Rules) -> None:
    """Operator mail uses reserved headroom: it is always admitted."""
    if caller.name == OPERATOR:
        return
    limits = rules.limits
    if recipient["inbox_messages"] + 1 > limits.inbox_messages or recipient["inbox_bytes"] + size > limits.inbox_bytes:
        raise Full(
            f"the inbox of {recipient['name']} is full ({recipient['inbox_messages']} messages wait); "
            "nothing was stored. Wait until it has worked some off."
        )


def _envelope(tx: Tx, sender: str, request: InboxSend) -> _Envelope:
    warnings: list[str] = []
    reply: int | None = None
    if request.in_reply_to is not None:
        reply = _party_to(tx, sender, request.in_reply_to)
        if reply is None:
            warnings.append(NO_PARTY.format(request.in_reply_to))
    body = request.body
    return _Envelope(body, rendered_bytes(body), hashlib.sha256(body.encode()).digest(), reply, warnings)


def _party_to(tx: Tx, name: str, message: str) -> int | None:
    try:
        number = message_number(message)
    except QueenpostError:
        return None
    return number if tx.one("inbox.is_party", message=number, name=name) else None


def _add_message(
    tx: Tx,
    caller: Caller,
    sender: _Sender,
    request: InboxSend,
    envelope: _Envelope,
    digest: bytes,
    receipt: str | None,
) -> int:
    return tx.insert(
        "inbox.add_message",
        sender=sender.name,
        kind=policy.kind_of(caller, sender.role),
        body=envelope.body,
        body_sha256=envelope.digest,
        addressed_to=request.to,
        in_reply_to=envelope.in_reply_to,
        depth=sender.depth,
        turn=sender.turn,
        key=request.key,
        request_sha256=digest,
        receipt=receipt,
        now=tx.now_ms,
    )


def _deliver_one(
    tx: Tx,
    caller: Caller,
    sender: _Sender,
    recipient: str,
    request: InboxSend,
    envelope: _Envelope,
    digest: bytes,
) -> InboxSent:
    told = {"recipients": [recipient], "warnings": envelope.warnings}
    receipt = json.dumps(told) if envelope.warnings or recipient != request.to else None
    message = _add_message(tx, caller, sender, request, envelope, digest, receipt)
    rank = 0 if sender.name == OPERATOR else 1
    tx.run(
        "inbox.add_delivery", message=message, recipient=recipient, sender=sender.name, bytes=envelope.size, rank=rank,
        in_order=1,
    )  # fmt: skip
    tx.run("inbox.count_one_in", recipient=recipient, messages=1, bytes=envelope.size)
    _after(tx, sender, envelope)
    tx.woke(recipient)
    tx.log("message_accepted", message=message_id(message), sender=sender.name, to=recipient, bytes=envelope.size)
    return InboxSent(id=message_id(message), to=request.to, recipients=[recipient], warnings=envelope.warnings)


def _after(tx: Tx, sender: _Sender, envelope: _Envelope) -> None:
    if sender.name != OPERATOR:
        tx.run("inbox.spend", name=sender.name, bucket=sender.bucket, now=tx.now_ms)
    if sender.attended_turn and sender.turn is not None and envelope.in_reply_to is not None:
        settling.settle_message(tx, sender.name, sender.turn, envelope.in_reply_to)


def _broadcast(tx: Tx, caller: Caller, sender: _Sender, request: InboxSend, digest: bytes, rules: Rules) -> InboxSent:
    """One transaction over the members of this moment; who is left out is listed, not silently skipped."""
    envelope = _envelope(tx, sender.name, request)
    allowed = None if caller.name == OPERATOR else policy.allowed_recipients(sender.settings)
    reached: list[str] = []
    skipped: list[Skipped] = []
    for row in tx.all("inbox.everyone", sender=sender.name):
        reason = _why_not(row, sender.role, allowed, envelope.size, caller, rules)
        if reason is None:
            reached.append(row["name"])
        else:
            skipped.append(reason)
    if not reached:
        raise _nobody(skipped)
    told = {
        "recipients": reached,
        "skipped": [s.model_dump() for s in skipped],
        "warnings": envelope.warnings,
    }
    message = _add_message(tx, caller, sender, request, envelope, digest, json.dumps(told))
    _fan_out(tx, message, sender.name, reached, envelope.size)
    _after(tx, sender, envelope)
    tx.log(
        "broadcast_accepted",
        message=message_id(message),
        sender=sender.name,
        reached=len(reached),
        skipped=len(skipped),
    )
    return InboxSent(id=message_id(message), to="*", recipients=reached, skipped=skipped, warnings=envelope.warnings)


def _nobody(skipped: list[Skipped]) -> QueenpostError:
    told = [one.model_dump() for one in skipped]
    if any(one.reason == "full" for one in skipped):
        return Full(
            "the broadcast reaches nobody: every inbox that you may write to is full. "
            "Nothing was stored; try again when some has been worked off.",
            skipped=told,
        )
    if skipped:
        return Denied("the broadcast reaches nobody that you may write to; write to manager or operator", skipped=told)
    return Unknown("the broadcast reaches nobody: no other agent is in the fleet")


def _fan_out(tx: Tx, message: int, sender: str, reached: list[str], size: int) -> None:
    names = json.dumps(reached)
    rank = 0 if sender == OPERATOR else 1
    tx.run(
        "inbox.add_deliveries",
        message=message,
        recipients=names,
        sender=sender,
        bytes=size,
        rank=rank,
        in_order=1,
    )
    tx.run("inbox.count_in", recipients=names, messages=1, bytes=size)
    for name in reached:
        tx.woke(name)


def _why_not(
    row: Row, sender_role: str, allowed: frozenset[str] | None, size: int, caller: Caller, rules: Rules
) -> Skipped | None:
    if not policy.may_write(sender_role, allowed, row["name"], row["role"]):
        return Skipped(name=row["name"], reason="denied")
    try:
        _check_room(row, size, caller, rules)
    except Full:
        return Skipped(name=row["name"], reason="full")
    return None
