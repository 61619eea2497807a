"""Envelopes: what is written for every accepted message, whoever gets it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from broker.services import policy, settling, storms
from broker.services.admission import Sender
from broker.services.callers import OPERATOR, Caller
from broker.store.tx import Tx
from wire.escaping import rendered_bytes
from wire.ids import ask_id
from wire.inbox import InboxSend

STILL_OPEN = "this is a letter beside {0}, which stays open: use answer(id={0}) to answer it"
NO_PARTY = "in_reply_to {0!r} was left out: you neither sent nor received that message"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What goes into the message row."""

    body: str
    size: int
    digest: bytes
    in_reply_to: int | None
    warnings: list[str]


def envelope_of(sender: Sender, request: InboxSend) -> Envelope:
    """Make the envelope; a reply to what is none of the sender's business is left out, with a warning."""
    warnings: list[str] = []
    if request.in_reply_to is not None and sender.answers is None:
        warnings.append(NO_PARTY.format(request.in_reply_to))
    if sender.open_ask is not None:
        warnings.append(STILL_OPEN.format(ask_id(sender.open_ask)))
    body = request.body
    return Envelope(body, rendered_bytes(body), hashlib.sha256(body.encode()).digest(), sender.answers, warnings)


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
        about=None,
        now=tx.now_ms,
    )


def put_in(
    tx: Tx, message: int, sender: Sender, recipients: list[str], held: Mapping[str, str], envelope: Envelope
) -> None:
    """Put every copy into its inbox, ready or held, and settle the accounts: quota, bucket, what causes what.

    In an attended turn the answer acks what it answers. The operator's word gives its readers a fresh budget.
    """
    reached = [name for name in recipients if name not in held] if held else recipients
    names = json.dumps(reached)
    if reached:
        _add_ready(tx, message, sender, reached, names, envelope.size)
    if held:
        storms.hold(tx, message, sender, held, envelope.size)
    if sender.name == OPERATOR:
        tx.run("inbox.count_in", recipients=names, messages=1, bytes=envelope.size)
        storms.forgive(tx, reached)
    else:
        tx.run(
            "inbox.post", name=sender.name, bucket=sender.bucket, recipients=names, bytes=envelope.size, now=tx.now_ms
        )
        storms.count(tx, sender, reached)
    if sender.attended_turn and sender.turn is not None and envelope.in_reply_to is not None:
        settling.settle_message(tx, sender.name, sender.turn, envelope.in_reply_to)


def _add_ready(tx: Tx, message: int, sender: Sender, reached: list[str], names: str, size: int) -> None:
    rank = 0 if sender.name == OPERATOR else 1
    if len(reached) == 1:
        tx.run(
            "inbox.add_delivery", message=message, recipient=reached[0], sender=sender.name, bytes=size, rank=rank,
            in_order=1,
        )  # fmt: skip
    else:
        tx.run(
            "inbox.add_deliveries", message=message, recipients=names, sender=sender.name, bytes=size, rank=rank,
            in_order=1,
        )  # fmt: skip
    for name in reached:
        tx.woke(name)
