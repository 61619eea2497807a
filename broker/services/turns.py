"""Turns: open, take, renew, resume. The only root of leasing (DESIGN 5.2–5.7).

How a turn ends is in `settling`; who holds an agent is in `holders`.
"""

import json

from broker.services import ask_ends, ask_rows, leasing, restarts
from broker.services.callers import Caller
from broker.services.policy import settings_of
from broker.store.tx import Row, Tx
from wire.asks import OpenAsk
from wire.errors import Closed, Conflict, Stale
from wire.ids import turn_id, turn_number, unknown
from wire.turns import (
    BATCH_BYTES,
    LEASE_MS,
    TURN_BYTES,
    TURN_MESSAGES,
    Turn,
    TurnsOpen,
    TurnsOpened,
    TurnsRenew,
    TurnsRenewed,
    TurnsResume,
    TurnsTake,
    TurnsTaken,
)

FENCED = "another instance works for {0} now (epoch {1}); this one has to stop"


def open_turn(tx: Tx, caller: Caller, request: TurnsOpen) -> TurnsOpened | None:
    """Open a turn over the next batch, or give the open one again; None while no mail is eligible.

    Idempotent under one epoch: a second open returns the same turn and mail. Finding nothing writes nothing.

    Raises:
        Stale: the caller's epoch is over. Conflict: an attended session may not.
    """
    if caller.attended:
        raise Conflict("an attended session takes mail with recv; only a harness opens turns")
    holder = holder_of(tx, caller)
    if holder["turn"] is not None:
        return TurnsOpened(turn=again(tx, holder))
    if holder["paused"] or holder["frozen"] or holder["state"] != "active" or not holder["has_mail"]:
        return None
    if holder["budget_until"] is not None and holder["budget_until"] > tx.now_ms:
        return None
    batch = leasing.choose(
        tx,
        caller.name,
        max_messages=settings_of(holder["settings"]).batch_max,
        max_bytes=BATCH_BYTES,
        joining=False,
        backing_off=bool(holder["fleet_backs_off"]),
    )
    leasing.hold_broken(tx, caller.name, batch)
    if not batch.rows or restarts.keeps_back(tx, holder, batch.rows):
        return None
    if holder["has_lapsed"]:
        ask_ends.cancel_of_lapsed(tx, caller.name)
        tx.run("turns.bury_lapsed", agent=caller.name, outcome="lapsed", now=tx.now_ms)
    turn = _add(tx, holder, batch)
    leasing.lease(tx, turn, batch)
    waiting = _left(holder, batch)
    mail = leasing.mail_of(tx, turn, batch.rows, leased_now=True)
    tx.log("turn_opened", agent=caller.name, turn=turn_id(turn), mail=[m.id for m in mail], waiting=waiting)
    return TurnsOpened(turn=Turn(id=turn_id(turn), mail=mail, waiting=waiting, open_asks=_unanswered(tx, holder)))


def _unanswered(tx: Tx, holder: Row) -> list[OpenAsk]:
    return ask_rows.unanswered(tx, holder["name"]) if holder["has_asks"] else []


def holder_of(tx: Tx, caller: Caller) -> Row:
    """Give the agent's row, after checking that the caller is its present holder.

    Raises:
        Stale: another instance took over, or the agent was removed.
    """
    row = tx.one("turns.holder", agent=caller.name)
    if row is None or row["state"] == "removed":
        raise Stale(f"{caller.name} is not part of the fleet any more; this instance has to stop")
    if row["epoch"] != caller.epoch or row["instance"] != caller.instance:
        raise Stale(FENCED.format(caller.name, row["epoch"]))
    return row


def _left(holder: Row, batch: leasing.Batch) -> int:
    """How much mail is ready beyond the batch, from counters: reading an inbox of thousands would cost more."""
    leased = (holder["turn_messages"] or 0) + len(batch.rows)
    staying = len(batch.riders) if batch.alone else 0
    return max(holder["inbox_messages"] - leased - len(batch.broken) - batch.backing_off - staying, 0)


def ready(tx: Tx, agent: str) -> int:
    """Count the mail of an agent that is ready now."""
    row = tx.one("inbox.count_ready", recipient=agent, now=tx.now_ms)
    return row["n"] if row else 0


def again(tx: Tx, holder: Row) -> Turn:
    """Give the holder's open turn once more, with a fresh lease."""
    rows = tx.all("turns.leased", turn=holder["turn"])
    mail = leasing.mail_of(tx, holder["turn"], rows, leased_now=False)
    tx.run(
        "turns.renew", turn=holder["turn"], agent=holder["name"], epoch=holder["epoch"], begun=0,
        lease_until=leasing.lease_until(tx),
    )  # fmt: skip
    return Turn(
        id=turn_id(holder["turn"]),
        mail=mail,
        waiting=ready(tx, holder["name"]),
        carried=holder["carried_from"] is not None,
        open_asks=_unanswered(tx, holder),
    )


def _add(tx: Tx, holder: Row, batch: leasing.Batch) -> int:
    return tx.insert(
        "turns.add",
        agent=holder["name"],
        epoch=holder["epoch"],
        attended=holder["attended"],
        alone=int(batch.alone),
        carried_from=None,
        messages=len(batch.rows),
        bytes=batch.bytes,
        depth=batch.depth,
        lease_until=leasing.lease_until(tx),
        now=tx.now_ms,
    )


def take(tx: Tx, caller: Caller, request: TurnsTake) -> TurnsTaken | None:
    """Lease more mail into the open turn; None while nothing is eligible.

    A harness turn takes at most 64 messages or 64 KiB, and nothing once its agent is paused. An attended session
    needs no open turn: mail opens one.

    Raises:
        Closed: the named turn is not the open one. Stale: the caller's epoch is over.
    """
    holder = holder_of(tx, caller)
    if (lost := _lost_answer(tx, holder, request)) is not None:
        return lost
    if caller.attended:
        return _take_attended(tx, caller, holder, request)
    named = turn_number(request.turn) if request.turn else None
    if holder["turn"] is None or holder["turn"] != named:
        raise Closed("that turn has ended; its mail is settled and you will be woken for more")
    if _exhausted(holder):
        return _nothing_more(tx, holder)
    room = TURN_BYTES - holder["turn_bytes"]
    most = min(request.max, TURN_MESSAGES - holder["turn_messages"])
    return _join(tx, caller, holder, request, most, min(room, BATCH_BYTES))


def _lost_answer(tx: Tx, holder: Row, request: TurnsTake) -> TurnsTaken | None:
    """Give again what the same take leased before its answer was lost; else nobody would ever have seen it."""
    if request.call is None or holder["turn"] is None:
        return None
    rows = tx.all("turns.leased_by", turn=holder["turn"], call=request.call)
    if not rows:
        return None
    mail = leasing.mail_of(tx, holder["turn"], rows, leased_now=False)
    asks = _unanswered(tx, holder) if holder["turn_attended"] else []
    return TurnsTaken(turn=turn_id(holder["turn"]), mail=mail, waiting=ready(tx, holder["name"]), open_asks=asks)


def _exhausted(holder: Row) -> bool:
    full = holder["turn_messages"] >= TURN_MESSAGES or holder["turn_bytes"] >= TURN_BYTES
    return bool(holder["turn_alone"]) or bool(holder["paused"]) or full


def _nothing_more(tx: Tx, holder: Row) -> TurnsTaken:
    waiting = ready(tx, holder["name"])
    return TurnsTaken(turn=turn_id(holder["turn"]), mail=[], waiting=waiting, exhausted=True)


def _join(tx: Tx, caller: Caller, holder: Row, request: TurnsTake, most: int, room: int) -> TurnsTaken | None:
    batch = leasing.choose(tx, caller.name, max_messages=most, max_bytes=room, joining=True)
    leasing.hold_broken(tx, caller.name, batch)
    if not batch.rows:
        return _nothing_more(tx, holder) if _blocked(tx, caller.name) else None
    turn: int = holder["turn"]
    leasing.lease(tx, turn, batch, request.call)
    tx.run(
        "turns.grow", turn=turn, messages=len(batch.rows), bytes=batch.bytes, depth=batch.depth,
        lease_until=leasing.lease_until(tx),
    )  # fmt: skip
    return _taken(tx, caller, holder, turn, batch)


def _blocked(tx: Tx, agent: str) -> bool:
    """Mail is ready but does not fit into this turn: waiting for it inside the turn would be in vain."""
    first = leasing.choose(tx, agent, max_messages=1, max_bytes=BATCH_BYTES, joining=False)
    return bool(first.rows)


def _take_attended(tx: Tx, caller: Caller, holder: Row, request: TurnsTake) -> TurnsTaken | None:
    if holder["state"] != "active" or holder["paused"] or holder["frozen"]:
        return None
    if holder["turn"] is not None:
        if holder["turn_alone"]:
            return _nothing_more(tx, holder)
        return _join(tx, caller, holder, request, request.max, BATCH_BYTES)
    batch = leasing.choose(tx, caller.name, max_messages=request.max, max_bytes=BATCH_BYTES, joining=False)
    leasing.hold_broken(tx, caller.name, batch)
    if not batch.rows:
        return None
    turn = _add(tx, holder, batch)
    leasing.lease(tx, turn, batch, request.call)
    taken = _taken(tx, caller, holder, turn, batch)
    return taken.model_copy(update={"open_asks": _unanswered(tx, holder)}) if holder["has_asks"] else taken


def _taken(tx: Tx, caller: Caller, holder: Row, turn: int, batch: leasing.Batch) -> TurnsTaken:
    mail = leasing.mail_of(tx, turn, batch.rows, leased_now=True)
    waiting = _left(holder, batch)
    tx.log("mail_taken", agent=caller.name, turn=turn_id(turn), mail=[m.id for m in mail], waiting=waiting)
    return TurnsTaken(turn=turn_id(turn), mail=mail, waiting=waiting)


def renew(tx: Tx, caller: Caller, request: TurnsRenew) -> TurnsRenewed:
    """Prolong the lease of the open turn.

    Raises:
        Stale: the turn lapsed, ended, or belongs to an earlier epoch; try `turns.resume`.
    """
    renewed = tx.run(
        "turns.renew",
        turn=turn_number(request.turn),
        agent=caller.name,
        epoch=caller.epoch,
        begun=int(request.begun),
        lease_until=leasing.lease_until(tx),
    )
    if not renewed:
        raise Stale(f"turn {request.turn} is not open under this epoch any more; resume it or stop")
    tx.revise_due()
    return TurnsRenewed(lease_ms=LEASE_MS)


def resume(tx: Tx, caller: Caller, request: TurnsResume) -> TurnsOpened:
    """Take a turn back after a lost link or a broker restart.

    Idempotent. Works for an open turn, and for a lapsed one as long as none of its mail was leased again.

    Raises:
        Stale: too late, or fenced. Unknown: not a turn of this agent.
    """
    holder = holder_of(tx, caller)
    row = own_turn(tx, caller, request.turn)
    if row["epoch"] != caller.epoch or row["state"] == "closed":
        raise Stale(f"turn {request.turn} has ended; its mail went back")
    if row["state"] == "lapsed":
        retake(tx, row, holder["turn"])
        holder = holder_of(tx, caller)
    return TurnsOpened(turn=again(tx, holder))


def own_turn(tx: Tx, caller: Caller, turn: str) -> Row:
    """Give a turn of the caller; a foreign one gets the answer of one that does not exist."""
    row = tx.one("turns.turn", turn=turn_number(turn), agent=caller.name)
    if row is None:
        raise unknown("turn", turn)
    return row


def retake(tx: Tx, turn: Row, open_turn_now: int | None) -> None:
    """Lease a lapsed turn's mail to it again.

    Raises:
        Stale: another turn is open, or some of the mail was leased again, settled or put back into line anew.
    """
    rows = tx.all("turns.released_by", turn=turn["id"])
    untouched = all(row["state"] == "ready" and row["attempt"] == row["now_attempt"] for row in rows)
    untouched = untouched and len(rows) == turn["messages"]  # retention deletes what was recalled meanwhile
    if open_turn_now is not None or not rows or not untouched:
        raise Stale(f"turn {turn_id(turn['id'])} lapsed and its mail went to a later turn")
    ids = json.dumps([row["delivery"] for row in rows])
    tx.run("turns.retake", turn=turn["id"], ids=ids, deaths=0 if turn["attended"] else 1)
    tx.run("turns.reopen", turn=turn["id"], lease_until=leasing.lease_until(tx))
    tx.revise_due()
    tx.log("turn_resumed", agent=turn["agent"], turn=turn_id(turn["id"]))
