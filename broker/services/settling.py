"""How leases end: acked by a finished turn, given back, failed, dead, held, carried on.

Acks are bound to (delivery, attempt, epoch): whatever comes late changes nothing (DESIGN 5.5, 5.7, 5.9).
Long because every way out of a lease stands here, side by side.
"""

import json
from collections.abc import Iterable, Sequence

from broker.services import ask_ends, ask_rows, budgets, leasing, logins, notices, restarts
from broker.services.callers import Caller
from broker.services.turns import FENCED, again, holder_of, own_turn, ready, retake
from broker.store.tx import Row, Tx
from wire.errors import Invalid, Stale
from wire.ids import message_id, message_number, turn_id, unknown
from wire.turns import (
    CLIENT_OUTCOMES,
    MAX_FAILURES,
    MAX_RESTARTS,
    Turn,
    TurnsClose,
    TurnsClosed,
    TurnsGiveBack,
    TurnsGivenBack,
    TurnsSettle,
    TurnsSettled,
    backoff_ms,
    is_counted,
)


def close(tx: Tx, caller: Caller, request: TurnsClose) -> TurnsClosed:
    """End a turn: `completed` acks its mail, anything else gives it back.

    Idempotent: closing again with the same outcome changes nothing and tells again what was acked and what was
    carried. A lapsed turn whose mail nobody leased again may still be closed.

    Raises:
        Stale: fenced, or the mail went to a later turn. Unknown: not a turn of this agent.
    """
    if request.outcome not in CLIENT_OUTCOMES:
        raise Invalid(f"outcome {request.outcome!r} is the broker's own word; choose one of wire.turns.CLIENT_OUTCOMES")
    turn = own_turn(tx, caller, request.turn)
    if turn["state"] == "closed":
        return _closed_again(tx, caller, turn, request)
    if turn["epoch"] != caller.epoch or turn["agent_epoch"] != caller.epoch:
        raise Stale(f"turn {request.turn} belongs to an earlier epoch; its mail went back")
    if turn["state"] == "lapsed":
        retake(tx, turn, holder_of(tx, caller)["turn"])
    rows = tx.all("turns.leased", turn=turn["id"])
    carried = _pick(rows, request.carry) if request.carry else []
    own = [row for row in rows if row not in carried] if carried else rows
    _write_end(tx, turn["id"], request, settled=len(own) if request.outcome == "completed" else 0)
    if turn["has_permissions"]:
        ask_ends.cancel_of_turn(tx, turn["id"])
    if request.outcome == "completed":
        result = _ack(tx, turn, own)
    elif is_counted(request.outcome, begun=request.begun):
        result = _fail(tx, turn, own, request)
    else:
        result = _return(tx, turn, own)
    if request.outcome == "auth":
        logins.tell(tx, caller.name, turn["id"], request.reason)
    budgets.spend(tx, caller.name, request.usage)
    if turn["role"] == "manager":
        restarts.go_on(tx)
    if carried:
        result = result.model_copy(update={"next": _carry(tx, turn, carried)})
    tx.woke(caller.name)
    tx.revise_due()
    tx.log(
        "turn_closed", agent=caller.name, turn=result.id, outcome=request.outcome, acked=len(result.acked),
        given_back=len(result.given_back), dead=len(result.dead), reason=request.reason or None,
    )  # fmt: skip
    return result


def _closed(
    turn: Row, acked: Sequence[Row] = (), given_back: Sequence[Row] = (), dead: Sequence[Row] = ()
) -> TurnsClosed:
    # Every list is given: pydantic would make a deep copy of each default.
    fates = [_messages(rows) for rows in (acked, given_back, dead)]
    return TurnsClosed(id=turn_id(turn["id"]), acked=fates[0], given_back=fates[1], dead=fates[2], held=[])


def _closed_again(tx: Tx, caller: Caller, turn: Row, request: TurnsClose) -> TurnsClosed:
    if turn["outcome"] != request.outcome:
        raise Stale(f"turn {request.turn} has already ended ({turn['outcome']}); nothing was changed")
    acked = tx.all("turns.acked_in", turn=turn["id"], agent=turn["agent"])
    result = TurnsClosed(id=turn_id(turn["id"]), acked=[message_id(row["message"]) for row in acked])
    holder = tx.one("turns.holder", agent=turn["agent"])
    if holder is None or holder["carried_from"] != turn["id"] or holder["epoch"] != caller.epoch:
        return result
    return result.model_copy(update={"next": again(tx, holder)})


def _pick(rows: list[Row], ids: Iterable[str]) -> list[Row]:
    wanted = set(ids)
    return [row for row in rows if message_id(row["id"]) in wanted]


def _write_end(tx: Tx, turn: int, request: TurnsClose, *, settled: int) -> None:
    tx.run(
        "turns.close",
        turn=turn,
        outcome=request.outcome,
        begun=int(request.begun),
        reason=request.reason or None,
        usage=request.usage.model_dump_json(exclude_defaults=True) if request.usage else None,
        settled=settled,
        now=tx.now_ms,
    )


def _deliveries(rows: list[Row]) -> str:
    return json.dumps([row["delivery"] for row in rows])


def _messages(rows: Iterable[Row]) -> list[str]:
    return [message_id(row["id"]) for row in rows]


def _ack(tx: Tx, turn: Row, rows: list[Row]) -> TurnsClosed:
    if rows:
        leasing.ack(tx, turn["id"], rows)
        leasing.count_out(tx, turn["agent"], rows)
    return _closed(turn, acked=rows)


def _return(tx: Tx, turn: Row, rows: list[Row]) -> TurnsClosed:
    if rows:
        tx.run("turns.back", ids=_deliveries(rows))
    return _closed(turn, given_back=rows)


def _fail(tx: Tx, turn: Row, rows: list[Row], request: TurnsClose) -> TurnsClosed:
    """Count the failure against every message; the fifth makes a dead letter.

    Two or more that failed together go one by one from now on: so the culprit is found and the others live.
    """
    riders = [row for row in rows if row["rides"]]
    if riders:  # they are nobody's fault, and wait for the next mail
        tx.run("turns.back", ids=_deliveries(riders))
    blamed = [row for row in rows if not row["rides"]]
    alone = int(len(blamed) > 1)
    dead = [row for row in blamed if row["failures"] + 1 >= MAX_FAILURES]
    back = [row for row in blamed if row["failures"] + 1 < MAX_FAILURES]
    for failures in sorted({row["failures"] for row in back}):
        some = [row for row in back if row["failures"] == failures]
        ready_at = tx.now_ms + backoff_ms(failures + 1)
        tx.run("turns.back_failed", ids=_deliveries(some), ready_at=ready_at, alone=alone)
    if dead:
        _bury(tx, turn["agent"], dead, f"{MAX_FAILURES} turns failed, the last by {request.outcome}", alone)
    return _closed(turn, given_back=[*riders, *back], dead=dead)


def _bury(tx: Tx, agent: str, rows: list[Row], why: str, alone: int) -> None:
    tx.run("turns.die", ids=_deliveries(rows), reason=why, alone=alone, now=tx.now_ms)
    leasing.count_out(tx, agent, rows)
    by_sender: dict[str, list[int]] = {}
    for row in rows:
        by_sender.setdefault(row["sender"], []).append(row["id"])
        tx.log("message_died", message=message_id(row["id"]), recipient=agent, reason=why)
    notices.tell_of_dead(tx, agent, by_sender, why)


def _carry(tx: Tx, turn: Row, rows: list[Row]) -> Turn:
    """Open the next turn over mail that the model never saw, in the same transaction, attempt unchanged."""
    size = sum(row["bytes"] for row in rows)
    number = tx.insert(
        "turns.add",
        agent=turn["agent"],
        epoch=turn["epoch"],
        attended=turn["attended"],
        alone=int(any(row["alone"] for row in rows)),
        carried_from=turn["id"],
        messages=len(rows),
        bytes=size,
        depth=max(row["depth"] for row in rows),
        lease_until=leasing.lease_until(tx),
        now=tx.now_ms,
    )
    ids = _deliveries(rows)
    tx.run("turns.mark_given_back", turn=turn["id"], ids=ids)
    tx.run("turns.move", turn=number, ids=ids)
    tx.run("turns.add_leases", turn=number, ids=ids, call=None)
    mail = leasing.mail_of(tx, number, rows, leased_now=False)
    asks = ask_rows.unanswered(tx, turn["agent"])
    return Turn(id=turn_id(number), mail=mail, waiting=ready(tx, turn["agent"]), carried=True, open_asks=asks)


def give_back(tx: Tx, caller: Caller, request: TurnsGiveBack) -> TurnsGivenBack:
    """Return mail that never reached the model; ready at once, nothing is counted.

    Idempotent: what the turn no longer holds is left alone. An attended turn that becomes empty ends.

    Raises:
        Stale: the turn is not open under the caller's epoch. Unknown: not a turn of this agent.
    """
    turn = own_turn(tx, caller, request.turn)
    if turn["state"] == "open" and (turn["epoch"] != caller.epoch or turn["agent_epoch"] != caller.epoch):
        raise Stale(f"turn {request.turn} belongs to an earlier epoch; its mail went back")
    held = tx.all("turns.leased", turn=turn["id"]) if turn["state"] == "open" else []
    rows = _pick(held, request.ids)
    if rows:
        _leave(tx, turn["id"], rows)
        if turn["attended"] and len(rows) == len(held):
            _end(tx, turn["id"], "interrupted", "everything was given back")
        tx.woke(caller.name)
        tx.log("mail_given_back", agent=caller.name, turn=request.turn, mail=_messages(rows))
    return TurnsGivenBack(ids=_messages(rows))


def _leave(tx: Tx, turn: int, rows: list[Row]) -> None:
    ids = _deliveries(rows)
    tx.run("turns.back", ids=ids)
    tx.run("turns.mark_given_back", turn=turn, ids=ids)
    tx.run("turns.shrink", turn=turn, messages=len(rows), bytes=sum(row["bytes"] for row in rows))


def _end(tx: Tx, turn: int, outcome: str, reason: str, *, settled: int = 0) -> None:
    tx.run(
        "turns.close", turn=turn, outcome=outcome, begun=0, reason=reason, usage=None, settled=settled, now=tx.now_ms
    )
    tx.revise_due()


def settle(tx: Tx, caller: Caller, request: TurnsSettle) -> TurnsSettled:
    """Ack what an attended session was handed, up to `done` or all of it; nothing where no attended turn is open.

    Idempotent. In a harness turn it changes nothing: such mail is acked when the turn ends.

    Raises:
        Unknown: `done` is no message to this agent. Stale: another instance works for the agent now.
    """
    holder = tx.one("turns.holder", agent=caller.name)
    if holder is None:
        return TurnsSettled(acked=[])
    if caller.epoch not in (None, holder["epoch"]):
        raise Stale(FENCED.format(caller.name, holder["epoch"]))
    if holder["turn"] is None or not holder["turn_attended"]:
        return TurnsSettled(acked=[])
    rows = tx.all("turns.leased", turn=holder["turn"])
    if request.done is not None:
        message = message_number(request.done)
        if tx.one("turns.received", message=message, agent=caller.name) is None:
            raise unknown("message", request.done)
        rows = _up_to(rows, message)
    settle_rows(tx, caller.name, holder["turn"], rows)
    return TurnsSettled(acked=_messages(rows))


def _up_to(rows: list[Row], message: int) -> list[Row]:
    """All that was handed over up to one message; empty where it is settled already, as on a retry."""
    for index, row in enumerate(rows):
        if row["id"] == message:
            return rows[: index + 1]
    return []


def settle_message(tx: Tx, agent: str, turn: int, message: int) -> None:
    """Ack one message of an attended turn, because its answer was just sent."""
    rows = [row for row in tx.all("turns.leased", turn=turn) if row["id"] == message]
    settle_rows(tx, agent, turn, rows)


def settle_rows(tx: Tx, agent: str, turn: int, rows: list[Row]) -> None:
    """Ack some of an attended turn's mail: in a finished turn of its own while other mail stays with the session."""
    if not rows:
        return
    remaining = [row for row in tx.all("turns.leased", turn=turn) if row not in rows]
    finished = turn
    if remaining:
        finished = tx.insert("turns.add_settled", turn=turn, messages=len(rows), now=tx.now_ms)
        ids = _deliveries(rows)
        tx.run("turns.mark_given_back", turn=turn, ids=ids)
        tx.run("turns.move", turn=finished, ids=ids)
        tx.run("turns.add_leases", turn=finished, ids=ids, call=None)
        tx.run("turns.shrink", turn=turn, messages=len(rows), bytes=sum(row["bytes"] for row in rows))
    leasing.ack(tx, finished, rows)
    if not remaining:
        _end(tx, turn, "completed", "settled by the session", settled=len(rows))
    leasing.count_out(tx, agent, rows)
    tx.woke(agent)
    tx.log("mail_settled", agent=agent, turn=turn_id(finished), mail=_messages(rows))


def end_orphan(tx: Tx, agent: str, turn: int, outcome: str, reason: str, *, restarted: bool) -> None:
    """End a turn whose holder is gone and give its mail back; a harness that died is counted, 20 times at most."""
    rows = tx.all("turns.leased", turn=turn)
    _end(tx, turn, outcome, reason)
    ask_ends.cancel_of_turn(tx, turn)
    release(tx, agent, rows, restarted=restarted)
    tx.log("turn_ended_by_broker", agent=agent, turn=turn_id(turn), outcome=outcome, given_back=len(rows))


def release(tx: Tx, agent: str, rows: list[Row], *, restarted: bool) -> None:
    """Make leased mail ready again; hold what has seen too many restarts."""
    tired = [row for row in rows if restarted and not row["rides"] and row["restarts"] + 1 >= MAX_RESTARTS]
    back = [row for row in rows if row not in tired]
    if back:
        tx.run("turns.back_restarted" if restarted else "turns.back", ids=_deliveries(back))
    if tired:
        leasing.hold(tx, agent, tired, f"its harness died {MAX_RESTARTS} times", restarts=1)
        tx.log("mail_held", agent=agent, mail=_messages(tired))
    tx.woke(agent)


def lapse(tx: Tx, agent: str, turn: int, *, attended: bool) -> None:
    """A lease ran out: the mail is ready again, the turn can still be resumed while nobody has leased it.

    It counts as the death of a harness; a session that fell silent is none.
    """
    rows = tx.all("turns.leased", turn=turn)
    tx.run("turns.lapse", turn=turn)
    release(tx, agent, rows, restarted=not attended)
    tx.log("turn_lapsed", agent=agent, turn=turn_id(turn), given_back=len(rows))
