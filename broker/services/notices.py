"""Notices: mail from `system` that tells somebody what became of something. A notice never causes a notice.

Many of one cause are one: the first goes out at once, what follows within a minute waits and goes out together.
"""

import hashlib
import json

from broker.services.callers import SYSTEM
from broker.store.tx import Row, Tx
from wire.escaping import rendered_bytes
from wire.ids import message_id
from wire.inbox import About

MERGE_MS = 60_000
"""One notice to a reader for each cause in this time."""
MOST_LINES = 20
"""Notices that are spelled out in a merged one; more are only counted."""


def tell(
    tx: Tx, recipient: str, text: str, *, cause: str, about: int | None = None, carrying: About | None = None
) -> str | None:
    """Put a notice into a mailbox; reserved headroom, no quota. Gives its message id, or None while it waits.

    `cause` names what it is about, like `dead:alice>bob`: the reader gets one notice of it in a minute, with all texts
    in it. `about` is the message that the notice answers; what it is `carrying` goes with a notice of its own only.
    """
    row = tx.one("notices.last", recipient=recipient, cause=cause)
    if row is None or (row["due_at"] is None and row["told_at"] + MERGE_MS <= tx.now_ms):
        tx.run("notices.told", recipient=recipient, cause=cause, now=tx.now_ms)
        return _write(tx, recipient, text, about, carrying)
    waiting = [*_waiting(row), [text, about]]
    if len(waiting) > MOST_LINES:
        waiting = [*waiting[:MOST_LINES], sum(one if isinstance(one, int) else 1 for one in waiting[MOST_LINES:])]
    due_at = row["due_at"] if row["due_at"] is not None else row["told_at"] + MERGE_MS
    tx.run("notices.wait", recipient=recipient, cause=cause, waiting=json.dumps(waiting), due_at=due_at)
    tx.revise_due()
    return None


def flush_due(tx: Tx) -> None:
    """Send what has waited for its minute; for a reader that was removed there is nobody to tell."""
    for row in tx.all("notices.due", now=tx.now_ms):
        if row["state"] in (None, "removed"):
            tx.run("notices.drop", recipient=row["recipient"], cause=row["cause"])
            tx.log("notice_dropped", recipient=row["recipient"], cause=row["cause"], reason="the reader was removed")
            continue
        tx.run("notices.told", recipient=row["recipient"], cause=row["cause"], now=tx.now_ms)
        text, about = _merged(_waiting(row))
        _write(tx, row["recipient"], text, about)


def _waiting(row: Row) -> list[list[str | int | None] | int]:
    """Read what waits; a damaged row must not stop what is due beside it."""
    try:
        return json.loads(row["waiting"])
    except ValueError:
        return [["[broken: a notice that waited here cannot be read]", None]]


def _merged(waiting: list[list[str | int | None] | int]) -> tuple[str, int | None]:
    told = [one for one in waiting if not isinstance(one, int)]
    more = sum(one for one in waiting if isinstance(one, int))
    if len(told) == 1:
        ((text, about),) = told
        return str(text), about if isinstance(about, int) else None
    lines = [f"{len(told) + more} notices in one:", *(f"- {text}" for text, _ in told)]
    if more:
        lines.append(f"(+{more} more)")
    return "\n".join(lines), None


def start(tx: Tx) -> None:
    """After a start: a clock that was set back meanwhile keeps nothing waiting for longer than its minute."""
    tx.run("notices.clamp", now=tx.now_ms, latest=tx.now_ms + MERGE_MS)


def clock_was_set(tx: Tx, step_ms: int) -> None:
    """Keep what is left of each minute."""
    tx.run("notices.shift", step=step_ms, now=tx.now_ms, latest=tx.now_ms + MERGE_MS)


def write_riding(tx: Tx, recipient: str, text: str) -> str:
    """Put a notice into a mailbox that is handed over with other mail and opens no turn by itself."""
    message = _write_message(tx, recipient, text, None)
    size = rendered_bytes(text)
    tx.run("restarts.add_rider", message=message, recipient=recipient, sender=SYSTEM, bytes=size)
    tx.run("inbox.count_one_in", recipient=recipient, messages=1, bytes=size)
    return message_id(message)


def _write_message(tx: Tx, recipient: str, text: str, about: int | None, carrying: About | None = None) -> int:
    return tx.insert(
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
        about=carrying.model_dump_json(exclude_defaults=True) if carrying else None,
        now=tx.now_ms,
    )


def _write(tx: Tx, recipient: str, text: str, about: int | None, carrying: About | None = None) -> str:
    message = _write_message(tx, recipient, text, about, carrying)
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
            if name != recipient and can_receive(tx, name):
                about = messages[0] if name == sender else None
                tell(tx, name, text, cause=f"dead:{sender}>{recipient}", about=about)


def can_receive(tx: Tx, name: str) -> bool:
    """Say whether somebody of this name is part of the fleet."""
    row = tx.one("inbox.recipient", name=name)
    return row is not None and row["state"] != "removed"
