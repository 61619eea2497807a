"""Broadcast: one message to every member of this moment, in one transaction. Who is left out is listed."""

import json

from broker.services import policy, storms
from broker.services.admission import Sender, check_room
from broker.services.callers import OPERATOR, Caller, Rules
from broker.services.envelopes import add_message, envelope_of, put_in
from broker.store.tx import Row, Tx
from wire.errors import Denied, Full, QueenpostError, Unknown
from wire.ids import message_id
from wire.inbox import InboxSend, InboxSent, Skipped, State


def broadcast(tx: Tx, caller: Caller, sender: Sender, request: InboxSend, digest: bytes, rules: Rules) -> InboxSent:
    """Send to everybody but the sender and the operator whom the sender may write to and who has room.

    Raises:
        Unknown, Denied, Full: it would reach nobody; nothing was stored.
    """
    envelope = envelope_of(sender, request)
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
    held = storms.weigh(tx, sender, reached, rules)
    state: State = "held" if len(held) == len(reached) else "queued"
    if held:
        envelope.warnings.append(storms.warning(held))
    told = {
        "recipients": reached,
        "state": state,
        "skipped": [s.model_dump() for s in skipped],
        "warnings": envelope.warnings,
    }
    message = add_message(tx, caller, sender, request, envelope, digest, json.dumps(told))
    put_in(tx, message, sender, reached, held, envelope)
    tx.log(
        "broadcast_accepted",
        message=message_id(message),
        sender=sender.name,
        reached=len(reached),
        skipped=len(skipped),
    )
    return InboxSent(
        id=message_id(message), to="*", state=state, recipients=reached, skipped=skipped, warnings=envelope.warnings
    )


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


def _why_not(
    row: Row, sender_role: str, allowed: frozenset[str] | None, size: int, caller: Caller, rules: Rules
) -> Skipped | None:
    if not policy.may_write(sender_role, allowed, row["name"], row["role"]):
        return Skipped(name=row["name"], reason="denied")
    try:
        check_room(row, size, caller, rules)
    except Full:
        return Skipped(name=row["name"], reason="full")
    return None
