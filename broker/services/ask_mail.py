"""The letters of asks: one puts a question to an agent, one brings the answer. Which there are is decided in `asks`."""

import hashlib

from broker.services import policy, storms
from broker.services.admission import Sender
from broker.services.callers import OPERATOR, Caller, Rules
from broker.services.envelopes import Envelope, put_in
from broker.store.tx import Row, Tx
from wire.asks import AsksAsk
from wire.escaping import rendered_bytes
from wire.ids import ask_id
from wire.inbox import About


def digest_of(text: str) -> bytes:
    """Give what tells later whether a stored text is what was written."""
    return hashlib.sha256(text.encode()).digest()


def put_question(
    tx: Tx, caller: Caller, sender: Sender, target: str, request: AsksAsk, ask: int, about: About, rules: Rules
) -> dict[str, str]:
    """Write the letter that puts an ask to an agent; gives why the storm guard held it, by recipient.

    Counted and weighed is what an agent asks by itself: a permission is its harness's.
    """
    text = request.question
    kind = policy.kind_of(caller, sender.role)
    weighed = request.kind == "question"
    held = storms.weigh(tx, sender, [target], rules) if weighed else {}
    message = _write(tx, sender, kind, request.to, text, about, reply=None)
    tx.run("asks.put_by", ask=ask, message=message)
    size = rendered_bytes("\n".join([text, *(about.options or [])]))
    if weighed:
        put_in(tx, message, sender, [target], held, Envelope(text, size, digest_of(text), None, []))
    else:
        _hand_in(tx, sender, target, message, size)
    return held


def charge(tx: Tx, sender: Sender) -> None:
    """Write the bucket of whoever asks without a letter."""
    tx.run("inbox.post", name=sender.name, bucket=sender.bucket, recipients="[]", bytes=0, now=tx.now_ms)


def put_answer(tx: Tx, caller: Caller, sender: Sender, row: Row, text: str) -> int | None:
    """Write the letter to whoever asked; None where a harness waits for the answer, the broker asked, or nobody is left
    to read it."""
    if row["kind"] == "permission" or row["about"] is not None or row["asker_state"] == "removed":
        return None
    if row["asker"] == row["target"]:  # for a job that the operator registered, by a program outside the fleet
        return None
    asker = row["asker"]
    kind = policy.kind_of(caller, sender.role)
    message = _write(tx, sender, kind, asker, text, About(ask=ask_id(row["id"]), part="answer"), reply=row["message"])
    _hand_in(tx, sender, asker, message, rendered_bytes(text))
    if sender.name == OPERATOR:
        storms.forgive(tx, [asker])
    return message


def _write(tx: Tx, sender: Sender, kind: str, to: str, body: str, about: About, *, reply: int | None) -> int:
    return tx.insert(
        "inbox.add_message",
        sender=sender.name,
        kind=kind,
        body=body,
        body_sha256=digest_of(body),
        addressed_to=to,
        in_reply_to=reply,
        depth=sender.depth,
        turn=sender.turn,
        key=None,
        request_sha256=None,
        receipt=None,
        about=about.model_dump_json(exclude_defaults=True),
        now=tx.now_ms,
    )


def _hand_in(tx: Tx, sender: Sender, recipient: str, message: int, size: int) -> None:
    rank = 0 if sender.name == OPERATOR else 1
    tx.run(
        "inbox.add_delivery", message=message, recipient=recipient, sender=sender.name, bytes=size, rank=rank,
        in_order=1,
    )  # fmt: skip
    tx.run("inbox.count_one_in", recipient=recipient, messages=1, bytes=size)
    tx.woke(recipient)
