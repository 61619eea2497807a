"""`explain`: the whole story of one message, from its rows and from what harnesses say of their agents now."""

from typing import Any

from broker.services import audit
from broker.services.callers import Caller
from broker.services.leasing import UNREADABLE, is_intact
from broker.services.states import Reports, thaw_of
from broker.services.views import SHOWN
from broker.store.readers import Reader
from wire.errors import QueenpostError
from wire.ids import message_id, message_number, turn_id, unknown
from wire.inbox import DeliveryStory, Happening, InboxExplain, InboxExplained


async def explain(
    reader: Reader, caller: Caller, request: InboxExplain, now_ms: int, reports: Reports
) -> InboxExplained:
    """Tell where every copy of a message stands, why it waits, and all that happened. Parties and operator only.

    Raises:
        Unknown: no such message, or the caller neither sent nor received it: the answer is the same.
    """
    try:
        number = message_number(request.message)
    except QueenpostError:
        raise unknown("message", request.message) from None
    row = await reader.one("inbox.message", message=number)
    copies = await reader.all("inbox.deliveries_of", message=number)
    if row is None or not _is_party(caller, row, copies):
        raise unknown("message", request.message)
    seen = _visible(caller, row, copies)
    leases = await reader.all("inbox.leases_of", message=number)
    replies = [
        reply
        for reply in await reader.all("inbox.replies_to", message=number)
        if caller.kind != "agent" or caller.name in (row["sender"], reply["sender"])
    ]
    audited = await reader.all("audit.of", subject=message_id(number))
    names = {copy["recipient"] for copy in seen}
    history = [
        _accepted(row, seen),
        *_turns(leases, names),
        *_ends(seen),
        *_replies(replies),
        *audit.story(audited),
    ]
    return InboxExplained(
        id=message_id(number),
        sender=row["sender"],
        kind=row["kind"],
        body=row["body"].decode() if is_intact(row) else UNREADABLE,
        in_reply_to=message_id(row["in_reply_to"]) if row["in_reply_to"] is not None else None,
        sent_at_ms=row["sent_at"],
        depth=row["depth"],
        sent_in_turn=turn_id(row["turn"]) if row["turn"] is not None else None,
        deliveries=[await _story(reader, copy, now_ms, reports) for copy in seen],
        replies=[message_id(reply["id"]) for reply in replies if reply["kind"] != "system"],
        history=sorted(history, key=lambda step: step.at_ms),
    )


def _visible(caller: Caller, row: Any, copies: list[Any]) -> list[Any]:
    """All copies for the operator and the sender, a recipient's own one for that recipient."""
    if caller.kind != "agent" or row["sender"] == caller.name:
        return copies
    return [copy for copy in copies if copy["recipient"] == caller.name]


def _is_party(caller: Caller, row: Any, copies: list[Any]) -> bool:
    if caller.kind != "agent":
        return True
    return row["sender"] == caller.name or any(copy["recipient"] == caller.name for copy in copies)


async def _story(reader: Reader, copy: Any, now_ms: int, reports: Reports) -> DeliveryStory:
    return DeliveryStory(
        recipient=copy["recipient"],
        state=SHOWN[copy["state"]],
        turn=turn_id(copy["turn"]) if copy["turn"] is not None and copy["state"] in ("leased", "acked") else None,
        attempt=copy["attempt"],
        failures=copy["failures"],
        restarts=copy["restarts"],
        reason=copy["reason"],
        ready_at_ms=copy["ready_at"] if copy["ready_at"] > now_ms else None,
        waits_for=await _waits_for(reader, copy, now_ms, reports) if copy["state"] in ("ready", "held") else None,
    )


async def _waits_for(reader: Reader, copy: Any, now_ms: int, reports: Reports) -> str:
    """Say in words why ready or held mail has not been leased, the first reason that holds."""
    recipient = copy["recipient"]
    stopped = _stopped(copy, now_ms)
    if stopped is not None:
        return stopped
    if copy["in_order"]:
        ahead = await reader.one(
            "inbox.earlier_in_pair",
            recipient=recipient,
            sender=copy["sender"],
            place=copy["place"],
            now=now_ms,
        )
        if ahead is not None:
            where = f"is in turn {turn_id(ahead['turn'])}" if ahead["state"] == "leased" else "backs off"
            return f"stands behind {message_id(ahead['message'])} from the same sender, which {where}"
    if copy["instance"] is None or copy["lost_at"] is not None:
        hint = f": start its harness, `queenpost harness {recipient}`" if reports.is_deaf(recipient) else ""
        return f"nobody works for {recipient} at this moment{hint}"
    report = reports.by_agent.get(recipient)
    if report is not None and report.state in ("parked", "failed"):
        return f"{recipient} is {report.state}: {report.reason}"
    return f"the next turn of {recipient}"


def _stopped(copy: Any, now_ms: int) -> str | None:
    """Say what keeps a copy from any turn, whoever works for its recipient."""
    recipient, message = copy["recipient"], message_id(copy["message"])
    if copy["state"] == "held":
        return f"the operator: `queenpost held release {message}` lets it go on, `… discard {message}` ends it"
    if recipient == "operator":
        return "the operator has not marked it as read"
    if copy["agent_state"] != "active":
        return f"{recipient} is {copy['agent_state']}"
    if copy["frozen"]:
        return f"{recipient} is frozen; `{thaw_of(copy, recipient)}` lets it go on"
    if copy["ready_at"] > now_ms:
        return f"backs off for {(copy['ready_at'] - now_ms) / 1000:.0f} s after a failed turn"
    if copy["paused"]:
        return f"{recipient} is paused"
    return None


def _accepted(row: Any, copies: list[Any]) -> Happening:
    to = ", ".join(copy["recipient"] for copy in copies)
    return Happening(at_ms=row["sent_at"], event="accepted", detail=f"from {row['sender']} to {to}")


def _turns(leases: list[Any], names: set[str]) -> list[Happening]:
    steps: list[Happening] = []
    for lease in leases:
        if lease["recipient"] not in names:
            continue
        turn = turn_id(lease["turn"])
        what = f"{turn} of {lease['recipient']}, attempt {lease['attempt']}"
        steps.append(Happening(at_ms=lease["opened_at"], event="leased", detail=what))
        if lease["given_back"]:
            steps.append(Happening(at_ms=lease["closed_at"] or lease["opened_at"], event="left_turn", detail=turn))
        elif lease["closed_at"] is not None:
            why = f" ({lease['reason']})" if lease["reason"] else ""
            steps.append(Happening(at_ms=lease["closed_at"], event=f"turn_{lease['outcome']}", detail=turn + why))
        elif lease["state"] == "lapsed":
            steps.append(Happening(at_ms=lease["opened_at"], event="turn_lapsed", detail=turn))
    return steps


def _ends(copies: list[Any]) -> list[Happening]:
    words = {"acked": "handled", "dead": "dead", "expired": "expired"}
    return [
        Happening(
            at_ms=copy["settled_at"],
            event=words[copy["state"]],
            detail=f"{copy['recipient']}: {copy['reason'] or ''}".rstrip(": "),
        )
        for copy in copies
        if copy["settled_at"] is not None
    ]


def _replies(rows: list[Any]) -> list[Happening]:
    return [
        Happening(at_ms=row["sent_at"], event="told", detail=f"{row['addressed_to']} by {message_id(row['id'])}")
        if row["kind"] == "system"
        else Happening(at_ms=row["sent_at"], event="answered", detail=f"{message_id(row['id'])} from {row['sender']}")
        for row in rows
    ]
