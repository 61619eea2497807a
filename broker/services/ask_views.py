"""Asks as people and agents look at them: lists, counts, the story of one. Read-only, beside the writer."""

from collections.abc import Sequence
from datetime import UTC, datetime

from broker.services.ask_rows import ask_of
from broker.services.callers import OPERATOR, Caller
from broker.services.views import PAGE_BYTES
from broker.store.readers import Reader
from broker.store.tx import Row
from wire.asks import Ask, AsksList, AsksListed
from wire.errors import Denied, QueenpostError, Unknown
from wire.finding import AsksExplain, Explained
from wire.ids import ask_id, ask_number, message_id, turn_id, unknown
from wire.inbox import Happening


async def list_asks(reader: Reader, caller: Caller, request: AsksList) -> AsksListed:
    """List asks, oldest first. An agent: its own, or those put to it; the operator: all.

    Raises:
        Denied: an agent asks for those of another one. Unknown: no such agent.
    """
    if caller.kind == "agent" and request.agent not in (None, caller.name):
        raise Denied("an agent sees only its own asks, and with to_me those put to it")
    if request.agent is not None and await reader.one("agents.agent", name=request.agent) is None:
        raise Unknown(f"no agent {request.agent!r} in this fleet; `queenpost agent list` shows them")
    rows = await reader.all(
        "asks.list",
        after=ask_number(request.after) if request.after else 0,
        all=int(request.all),
        asker=caller.name if caller.kind == "agent" and not request.to_me else None,
        target=caller.name if request.to_me else None,
        agent=request.agent,
        limit=request.limit + 1,
    )
    return _page(rows, request.limit)


def _page(rows: Sequence[Row], limit: int) -> AsksListed:
    """Cut a page by number and by bytes: an answer has to fit into a frame."""
    asks: list[Ask] = []
    size = 0
    for row in rows[:limit]:
        size += sum(len(row[name] or b"") for name in ("question", "options", "answer"))
        if asks and size > PAGE_BYTES:
            break
        asks.append(ask_of(row))
    return AsksListed(asks=asks, more=len(rows) > len(asks))


async def count_for_operator(reader: Reader) -> int:
    """Count the asks that wait for the operator."""
    row = await reader.one("asks.counts_of", name=OPERATOR)
    return row["to_answer"] if row else 0


async def explain(reader: Reader, caller: Caller, request: AsksExplain, now_ms: int) -> Explained:
    """Tell what became of an ask and what it waits for. Asker, target and operator only.

    Raises:
        Unknown: no such ask, or none of the caller's: the answer is the same.
    """
    try:
        row = await reader.one("asks.ask", ask=ask_number(request.ask))
    except QueenpostError:
        raise unknown("ask", request.ask) from None
    if row is None or (caller.kind == "agent" and caller.name not in (row["asker"], row["target"])):
        raise unknown("ask", request.ask)
    mail = await _mail(reader, row)
    history = [*_beginning(row), *await _turns(reader, row), *await _audited(reader, row), *_end(row)]
    return Explained(
        id=ask_id(row["id"]),
        noun="ask",
        state=row["state"],
        waits_for=_waits_for(row, mail, now_ms) if row["state"] == "open" else None,
        facts=_facts(row),
        history=sorted(history, key=lambda step: step.at_ms),
    )


async def _mail(reader: Reader, row: Row) -> Row | None:
    """Give the target's copy of the mail that put the ask."""
    copies = [] if row["message"] is None else await reader.all("inbox.deliveries_of", message=row["message"])
    return next((copy for copy in copies if copy["recipient"] == row["target"]), None)


def _waits_for(row: Row, mail: Row | None, now_ms: int) -> str:
    ask, target = ask_id(row["id"]), row["target"]
    if row["deadline_at"] <= now_ms:
        return "its deadline has passed; the broker closes it in a moment"
    if target == OPERATOR:
        return f"the operator has not answered: `queenpost answer {ask} TEXT`"
    if mail is None:
        return f"{target} has not answered; it is listed whenever {target} is woken"
    message = message_id(row["message"])
    match mail["state"]:
        case "ready" | "scheduled":
            return f"{message} waits in the inbox of {target}; `queenpost explain {message}` tells why"
        case "leased":
            return f"{target} has {message} in turn {turn_id(mail['turn'])}"
        case "held":
            return f"{message} is held: {mail['reason']}"
        case _:
            return f"{target} no longer has {message} and has not answered; it is listed whenever {target} is woken"


def _facts(row: Row) -> dict[str, str]:
    ask = ask_of(row)
    facts = {"kind": ask.kind, "asker": ask.asker, "target": ask.target}
    facts["deadline"] = datetime.fromtimestamp(ask.deadline_at_ms / 1000, UTC).isoformat(timespec="seconds")
    facts["question"] = "[broken: it does not match its checksum]" if ask.broken else ask.question
    if ask.options:
        facts["options"] = " | ".join(ask.options)
    told = {"turn": ask.turn, "message": ask.message, "answer": ask.answer, "answered by": ask.answered_by}
    return facts | {label: value for label, value in told.items() if value is not None}


def _beginning(row: Row) -> list[Happening]:
    steps = [Happening(at_ms=row["asked_at"], event="asked", detail=f"by {row['asker']}, of {row['target']}")]
    if row["message"] is not None:
        detail = f"{message_id(row['message'])} to {row['target']}"
        steps.append(Happening(at_ms=row["asked_at"], event="mailed", detail=detail))
    return steps


async def _turns(reader: Reader, row: Row) -> list[Happening]:
    leases = [] if row["message"] is None else await reader.all("inbox.leases_of", message=row["message"])
    return [
        Happening(at_ms=lease["opened_at"], event="leased", detail=f"{turn_id(lease['turn'])} of {lease['recipient']}")
        for lease in leases
    ]


async def _audited(reader: Reader, row: Row) -> list[Happening]:
    return [
        Happening(at_ms=step["at"], event=step["action"], detail=f"by {step['principal']}")
        for step in await reader.all("audit.of", subject=ask_id(row["id"]))
    ]


def _end(row: Row) -> list[Happening]:
    if row["ended_at"] is None:
        return []
    mailed = "" if row["answer_message"] is None else f" in {message_id(row['answer_message'])}"
    detail = f"by {row['answered_by']}{mailed}" if row["state"] == "answered" else ""
    return [Happening(at_ms=row["ended_at"], event=row["state"], detail=detail)]
