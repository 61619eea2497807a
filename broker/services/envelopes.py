"""Envelopes: what is written for every accepted message, whoever gets it."""

import hashlib
from dataclasses import dataclass

from broker.services import policy, settling
from broker.services.admission import Sender
from broker.services.callers import OPERATOR, Caller
from broker.store.tx import Tx
from wire.errors import QueenpostError
from wire.escaping import rendered_bytes
from wire.ids import message_number
from wire.inbox import InboxSend

NO_PARTY = "in_reply_to {0!r} was left out: you neither sent nor received that message"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What goes into the message row."""

    body: str
    size: int
    digest: bytes
    in_reply_to: int | None
    warnings: list[str]


def envelope_of(tx: Tx, sender: str, request: InboxSend) -> Envelope:
    """Make the envelope; a reply to what is none of the sender's business is left out, with a warning."""
    warnings: list[str] = []
    reply: int | None = None
    if request.in_reply_to is not None:
        reply = _party_to(tx, sender, request.in_reply_to)
        if reply is None:
            warnings.append(NO_PARTY.format(request.in_reply_to))
    body = request.body
    return Envelope(body, rendered_bytes(body), hashlib.sha256(body.encode()).digest(), reply, warnings)


def _party_to(tx: Tx, name: str, message: str) -> int | None:
    try:
        number = message_number(message)
    except QueenpostError:
        return None
    return number if tx.one("inbox.is_party", message=number, name=name) else None


def add_message(
    tx: Tx,
    caller: Caller,
    sender: Sender,
    request: InboxSend,
    envelope: Envelope,
    digest: bytes,
    receipt: str | None,
) -> int:
    """Store the message itself; gives its row number."""
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


def settle_accounts(tx: Tx, sender: Sender, envelope: Envelope) -> None:
    """Write the sender's bucket; in an attended turn the answer acks what it answers."""
    if sender.name != OPERATOR:
        tx.run("inbox.spend", name=sender.name, bucket=sender.bucket, now=tx.now_ms)
    if sender.attended_turn and sender.turn is not None and envelope.in_reply_to is not None:
        settling.settle_message(tx, sender.name, sender.turn, envelope.in_reply_to)
