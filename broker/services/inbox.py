"""Sending: the one way into an inbox. Accepted means committed; refused means nothing was stored."""

import hashlib
import json

from broker.services import policy, storms
from broker.services.admission import Sender, check_body, check_room, recipient_of, sender_of
from broker.services.broadcast import broadcast
from broker.services.callers import Caller, Rules
from broker.services.envelopes import Envelope, add_message, envelope_of, put_in
from broker.store.tx import Row, Tx
from wire.errors import Conflict, Denied, Invalid
from wire.fleet import Push
from wire.ids import message_id
from wire.inbox import InboxSend, InboxSent, State

STOPPED = "{0} is stopped: the message waits until the agent is part of the fleet again"


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
    check_body(request.body, rules)
    sender = sender_of(tx, caller, rules, request.in_reply_to)
    if request.now:
        _require_may_interrupt(caller, sender, request)
    if request.to == "*":
        return broadcast(tx, caller, sender, request, digest, rules)
    recipient = recipient_of(tx, request.to)
    if recipient["name"] == sender.name:
        raise Invalid("a message to yourself goes nowhere: keep a note, or set a reminder")
    policy.require_may_write(sender.name, sender.role, sender.settings, recipient["name"], recipient["role"])
    envelope = envelope_of(sender, request)
    check_room(recipient, envelope.size, caller, rules)
    if recipient["state"] == "stopped":
        envelope.warnings.append(STOPPED.format(recipient["name"]))
    held = storms.weigh(tx, sender, [recipient["name"]], rules)
    return _deliver_one(tx, caller, sender, recipient["name"], request, envelope, held, digest)


def _require_may_interrupt(caller: Caller, sender: Sender, request: InboxSend) -> None:
    if caller.kind == "agent" and sender.role != "manager":
        raise Denied("only the operator and the manager may interrupt a turn; send it without `now`")
    if request.to == "*":
        raise Invalid("a broadcast interrupts nobody; send it without `now`, or to one agent")


def _digest(request: InboxSend) -> bytes:
    # With their lengths the parts cannot run into each other, whatever they hold.
    to, reply = request.to, request.in_reply_to
    head = f"{len(to)},{-1 if reply is None else len(reply)}:{to}{reply or ''}"
    return hashlib.sha256(f"{head}{request.body}".encode()).digest()


def _again(row: Row, request: InboxSend, digest: bytes) -> InboxSent:
    if row["request_sha256"] != digest:
        raise Conflict(
            f"key {request.key!r} was already used for {message_id(row['id'])} with other content; use a new key"
        )
    told = json.loads(row["receipt"]) if row["receipt"] else {"recipients": [row["addressed_to"]]}
    receipt = {"id": message_id(row["id"]), "to": row["addressed_to"], "duplicate": True} | told
    return InboxSent.model_validate(receipt)


def _deliver_one(
    tx: Tx,
    caller: Caller,
    sender: Sender,
    recipient: str,
    request: InboxSend,
    envelope: Envelope,
    held: dict[str, str],
    digest: bytes,
) -> InboxSent:
    receipt = None
    state: State = "held" if held else "queued"
    if held:
        envelope.warnings.append(storms.warning(held))
    if envelope.warnings or recipient != request.to:
        receipt = json.dumps({"recipients": [recipient], "state": state, "warnings": envelope.warnings})
    message = add_message(tx, caller, sender, request, envelope, digest, receipt)
    put_in(tx, message, sender, [recipient], held, envelope)
    tx.log("message_accepted", message=message_id(message), sender=sender.name, to=recipient, bytes=envelope.size)
    if request.now and not held:
        tx.push(Push(event="mail_now", agent=recipient, data={"message": message_id(message)}))
    # Every list is given: pydantic would make a deep copy of a default.
    return InboxSent(
        id=message_id(message), to=request.to, state=state, recipients=[recipient], skipped=[],
        warnings=envelope.warnings,
    )  # fmt: skip
