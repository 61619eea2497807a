"""Sessions beside the turns of an agent, which make its notes shorter: whether one may run, and what it cost."""

from broker.services import budgets
from broker.services.callers import Caller
from broker.services.turns import holder_of, ready
from broker.store.tx import Tx
from wire.errors import Invalid
from wire.ids import turn_id
from wire.notes import NotesBegin, NotesBegun, NotesEnd, NotesEnded
from wire.turns import CLIENT_OUTCOMES


def begin(tx: Tx, caller: Caller, request: NotesBegin) -> NotesBegun:
    """Say whether a session may run beside the turns of the agent now; writes nothing.

    Raises:
        Stale: another instance works for the agent.
    """
    holder = holder_of(tx, caller)
    why = ""
    if caller.attended:
        why = "a session works for the agent, and its notes are its own business"
    elif holder["turn"] is not None:
        why = "a turn is open"
    elif holder["paused"] or holder["frozen"] or holder["state"] != "active":
        why = "the agent is paused, frozen or stopped"
    elif holder["budget_until"] is not None and holder["budget_until"] > tx.now_ms:
        why = "its budget for today is spent"
    return NotesBegun(allowed=not why, why=why, waiting=ready(tx, caller.name))


def end(tx: Tx, caller: Caller, request: NotesEnd) -> NotesEnded:
    """Count what the session cost, as a closed turn without mail: budget, statistics and `explain` know it.

    Raises:
        Stale: another instance works for the agent. Invalid: an outcome that only the broker gives.
    """
    if request.outcome not in CLIENT_OUTCOMES:
        raise Invalid(f"outcome {request.outcome!r} is the broker's own word; choose one of wire.turns.CLIENT_OUTCOMES")
    holder_of(tx, caller)
    turn = tx.insert(
        "notes.add_turn",
        agent=caller.name,
        outcome=request.outcome,
        reason=f"notes: {request.reason}" if request.reason else "notes",
        usage=request.usage.model_dump_json(exclude_defaults=True) if request.usage else None,
        opened_at=tx.now_ms - request.took_ms,
        now=tx.now_ms,
    )
    budgets.spend(tx, caller.name, request.usage)
    tx.log("notes_shortened", agent=caller.name, turn=turn_id(turn), outcome=request.outcome, reason=request.reason)
    return NotesEnded(turn=turn_id(turn))
