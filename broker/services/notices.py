"""Notices: mail from `system` that tells somebody what became of something. A notice never causes a notice."""

import hashlib

from broker.services.callers import SYSTEM
from broker.store.tx import Tx
from wire.escaping import rendered_bytes
from wire.ids import message_id


def tell(tx: Tx, recipient: str, text: str, *, about: int | None = None) -> str:
    """Put a notice into a mailbox; reserved headroom, no quota. Gives its message id."""
    message = tx.insert(
        "inbox.add_message",
        sender=SYSTEM,
        kind="system",
        body=text,
        body_sha256=hashlib.sha256(text.encode()).digest(),
        addressed_to=recipient,
        in_reply_to=about,
        depth=0,
        turn=None,
        key=None,
        request_sha256=None,
        receipt=None,
        now=tx.now_ms,
    )
    size = rendered_bytes(text)
    tx.run(
        "inbox.add_delivery",
        message=message,
        recipient=recipient,
        sender=SYSTEM,
        bytes=size,
        rank=0,
        in_order=0,
    )
    tx.run("inbox.count_one_in", recipient=recipient, messages=1, bytes=size)
    tx.woke(recipient)
    return message_id(message)


def tell_of_dead(tx: Tx, recipient: str, messages_by_sender: dict[str, list[int]], why: str) -> None:
    """Tell each sender, and the manager, which of their messages died. `system` is told nothing."""
    row = tx.one("inbox.manager")
    manager = row["name"] if row else None
    for sender, messages in messages_by_sender.items():
        if sender == SYSTEM:
            continue
        ids = ", ".join(message_id(number) for number in messages)
        text = f"{ids} to {recipient} could not be handled and is dead: {why}. The operator can requeue it."
        for name in dict.fromkeys([sender, manager or sender]):
            if name != recipient and _can_receive(tx, name):
                tell(tx, name, text, about=messages[0] if name == sender else None)


def _can_receive(tx: Tx, name: str) -> bool:
    row = tx.one("inbox.recipient", name=name)
    return row is not None and row["state"] != "removed"
