"""Asks: put a question, answer it once, withdraw it, wait for its end (DESIGN 5, Asks).

A question to an agent is a row and a letter in one transaction; one to the operator stands in the list. How asks end
by themselves is in `ask_ends`, what people look at in `ask_views`.
"""

import json
from dataclasses import dataclass

from broker.services import ask_choices, audit, budgets, policy, settling, storms
from broker.services.admission import Sender, check_body, check_room, recipient_of, sender_of, unmetered
from broker.services.ask_ends import WITHDRAWN, ended, tell_end, withdraw_mail
from broker.services.ask_mail import charge, digest_of, put_answer, put_question
from broker.services.ask_rows import ask_of, words_of
from broker.services.callers import OPERATOR, Caller, Rules
from broker.store.tx import Row, Tx
from wire.asks import (
    DEFAULT_TTL_OPERATOR_S,
    DEFAULT_TTL_PEER_S,
    MAX_OPEN,
    MAX_TTL_S,
    PERMISSION_TTL_S,
    AsksAnswer,
    AsksAnswered,
    AsksAsk,
    AsksAsked,
    AsksCancel,
    AsksCancelled,
    AsksWait,
    AsksWaited,
)
from wire.errors import Closed, Conflict, Denied, Invalid, Limited
from wire.escaping import rendered_bytes
from wire.ids import ask_id, ask_number, message_id, unknown
from wire.inbox import About

STOPPED = "{0} is stopped: the question waits until the agent is part of the fleet again"
ANSWERED = "the ask was answered by the operator"


def ask(tx: Tx, caller: Caller, request: AsksAsk, rules: Rules) -> AsksAsked:
    """Put a question or a permission; durable once answered, and returns at once.

    A permission that is open already is not put twice: the answer names the open one.

    Raises:
        Unknown: no such target. Denied: the allow-list, or a permission from anybody but a harness.
        Invalid: to oneself or to all, too long, a ttl beyond the cap. Limited: too fast, or too many are open.
        Full: inbox or disk. Closed: a permission outside of a turn.
    """
    draft = _draft(request, rules)
    if request.kind == "permission":
        sender = _in_its_turn(tx, caller)
        target = _target(tx, sender, request.to)
        same = tx.one(
            "asks.same_permission", asker=sender.name, target=target["name"], question_sha256=draft.digest
        )  # fmt: skip
        if same is not None:
            deadline_at = same["deadline_at"]
            return AsksAsked(id=ask_id(same["id"]), to=request.to, deadline_at_ms=deadline_at, duplicate=True)
    else:
        sender = sender_of(tx, caller, rules)
        target = _target(tx, sender, request.to)
        _admit(tx, caller, sender, target, draft, rules)
    return _put(tx, caller, sender, target, request, draft, rules)


@dataclass(frozen=True, slots=True)
class Draft:
    """What was checked of an ask before anybody was asked."""

    options: list[str] | None
    size: int
    """Bytes that question and options take where they are read."""
    digest: bytes
    ttl_ms: int


def _draft(request: AsksAsk, rules: Rules) -> Draft:
    options = ask_choices.tidy(request.options, multi=request.multi)
    if options is not None and request.kind == "permission":
        raise Invalid("a permission takes no options: it is answered with allow, always or deny")
    text = "\n".join([request.question, *(options or [])])
    check_body(text, rules)
    return Draft(options, rendered_bytes(text), digest_of(request.question), _ttl_ms(request))


def _ttl_ms(request: AsksAsk) -> int:
    if request.ttl_s is not None and request.ttl_s > MAX_TTL_S:
        raise Invalid(f"an ask stays open for {MAX_TTL_S} s (30 days) at most; ask again when that is over")
    if request.ttl_s is not None:
        return max(int(request.ttl_s * 1000), 1)
    if request.kind == "permission":
        return PERMISSION_TTL_S * 1000
    return 1000 * (DEFAULT_TTL_OPERATOR_S if request.to == OPERATOR else DEFAULT_TTL_PEER_S)


def _in_its_turn(tx: Tx, caller: Caller) -> Sender:
    if caller.epoch is None or caller.attended:
        raise Denied("only the harness of an agent asks for permissions; ask a question instead")
    sender = unmetered(tx, caller)
    if sender.turn is None:
        raise Closed("a permission belongs to an open turn, and this harness has none; nobody was asked")
    return sender


def _target(tx: Tx, sender: Sender, to: str) -> Row:
    if to == "*":
        raise Invalid("an ask goes to one agent, manager or operator; send to * if everybody should know")
    target = recipient_of(tx, to)
    if target["name"] == sender.name:
        raise Invalid("an ask to yourself gets no answer; name an agent, manager or operator")
    return target


def _admit(tx: Tx, caller: Caller, sender: Sender, target: Row, draft: Draft, rules: Rules) -> None:
    """Let a question through as a send would be, and no more at once than anybody could answer."""
    policy.require_may_write(sender.name, sender.role, sender.settings, target["name"], target["role"])
    if target["name"] != OPERATOR:
        check_room(target, draft.size, caller, rules)
    if sender.name == OPERATOR:
        return
    row = tx.one("asks.count_open_by", asker=sender.name)
    if row is not None and row["n"] >= MAX_OPEN:
        raise Limited(f"{row['n']} of your questions are open (limit {MAX_OPEN}); cancel_ask some, or wait for answers")


def _put(
    tx: Tx, caller: Caller, sender: Sender, target: Row, request: AsksAsk, draft: Draft, rules: Rules
) -> AsksAsked:
    deadline_at = tx.now_ms + draft.ttl_ms
    number = tx.insert(
        "asks.add",
        kind=request.kind,
        asker=sender.name,
        target=target["name"],
        question=request.question,
        question_sha256=draft.digest,
        options=None if draft.options is None else json.dumps(draft.options, ensure_ascii=False),
        multi=int(request.multi),
        turn=sender.turn,
        now=tx.now_ms,
        deadline_at=deadline_at,
    )
    held: dict[str, str] = {}
    if target["name"] != OPERATOR:
        about = About(
            ask=ask_id(number), part="question", ask_kind=request.kind, options=draft.options, multi=request.multi,
            deadline_at_ms=deadline_at,
        )  # fmt: skip
        held = put_question(tx, caller, sender, target["name"], request, number, about, rules)
    elif request.kind == "question":
        charge(tx, sender)
    tx.log("ask_put", ask=ask_id(number), kind=request.kind, asker=sender.name, target=target["name"])
    warnings = [STOPPED.format(target["name"])] if target["state"] == "stopped" else []
    return AsksAsked(
        id=ask_id(number),
        to=request.to,
        deadline_at_ms=deadline_at,
        state="held" if held else "open",
        warnings=[storms.warning(held), *warnings] if held else warnings,
    )


def answer(tx: Tx, caller: Caller, request: AsksAnswer, rules: Rules) -> AsksAnswered:
    """Close an ask with its first answer; the answer's mail to whoever asked is in the same transaction.

    It uses reserved headroom: neither quota nor bucket nor allow-list holds an answer back. In an attended turn it
    acks the mail that put the question.

    Raises:
        Unknown: no such ask, or none of the caller's. Denied: the asker itself. Closed: it has ended; says how.
        Conflict: its row is broken. Invalid: too long, or no answer to a permission.
    """
    row = _mine(tx, caller, request.ask)
    if row["state"] != "open":
        raise _closed(row)
    for_a_job = caller.name == OPERATOR and row["job"] is not None  # of the operator's own, put by a program outside
    if caller.name == row["asker"] and not for_a_job:
        others = row["target"] if caller.name == OPERATOR else f"{row['target']} or the operator"
        raise Denied(f"{request.ask} is your own; only {others} may answer it. Cancelling takes it back.")
    words = words_of(row)
    if words is None:
        raise Conflict(f"{request.ask} is damaged on disk and cannot be answered; the operator should cancel it")
    check_body(request.answer, rules)
    change = budgets.answer_of(request.answer) if row["about"] == "budget" else None
    if row["kind"] == "permission":
        chosen = ask_choices.permission(request.answer)
    else:
        chosen = ask_choices.choice(request.answer, words.options, multi=bool(row["multi"]))
    sender = unmetered(tx, caller)
    message = put_answer(tx, caller, sender, row, chosen.text)
    tx.run(
        "asks.answer", ask=row["id"], answer=chosen.text, answered_by=caller.name, message=message, now=tx.now_ms
    )  # fmt: skip
    _settle_question(tx, caller, sender, row)
    if caller.name == OPERATOR:
        audit.write(tx, caller, "ask.answered", ask_id(row["id"]))
    elif row["kind"] == "permission":  # left to it by a rule: who decided is kept as for an operator
        audit.write(tx, caller, "permission.decided", ask_id(row["id"]), agent=row["asker"], answer=chosen.text)
    ended(tx, row, "answered")
    told = None if message is None else message_id(message)
    warnings = chosen.warnings if change is None else budgets.answered(tx, row["asker"], row["id"], change)
    return AsksAnswered(id=ask_id(row["id"]), asker=row["asker"], message=told, warnings=warnings)


def _mine(tx: Tx, caller: Caller, ask: str) -> Row:
    """Give an ask that concerns the caller; any other gets the answer of one that does not exist."""
    row = tx.one("asks.ask", ask=ask_number(ask))
    if row is None or caller.name not in (OPERATOR, row["asker"], row["target"]):
        raise unknown("ask", ask)
    return row


def _closed(row: Row) -> Closed:
    ask = ask_id(row["id"])
    if row["state"] == "answered":
        return Closed(f"{ask} was already answered by {row['answered_by']}; the first answer counts")
    if row["state"] == "expired":
        return Closed(f"{ask} expired: its deadline passed without an answer; send a message if it still matters")
    return Closed(f"{ask} was withdrawn; no answer is needed any more")


def _settle_question(tx: Tx, caller: Caller, sender: Sender, row: Row) -> None:
    if caller.name == row["target"]:
        if sender.attended_turn and sender.turn is not None and row["message"] is not None:
            settling.settle_message(tx, sender.name, sender.turn, row["message"])
        return
    # Somebody who has not seen the question yet need not be woken for it.
    withdraw_mail(tx, [row["message"]], ANSWERED)


def cancel(tx: Tx, caller: Caller, request: AsksCancel) -> AsksCancelled:
    """Withdraw an ask; whoever was asked is told, and its asker where the operator did it.

    Raises:
        Unknown: no such ask, or none of the caller's. Closed: it has ended; says how.
    """
    row = _mine(tx, caller, request.ask)
    if caller.name not in (OPERATOR, row["asker"]):
        raise unknown("ask", request.ask)
    if row["state"] != "open":
        raise _closed(row)
    if row["about"] is not None and caller.name != OPERATOR:
        raise Denied(f"{request.ask} was put by the broker; the operator answers or withdraws it")
    tx.run("asks.cancel", ask=row["id"], now=tx.now_ms)
    withdraw_mail(tx, [row["message"]], WITHDRAWN)
    ask = ask_id(row["id"])
    by = "The operator" if caller.name == OPERATOR else row["asker"]
    if row["target"] != OPERATOR:
        tell_end(tx, row["target"], row, f"{by} withdrew {ask}; no answer is needed any more.")
    if caller.name == OPERATOR:
        audit.write(tx, caller, "ask.cancelled", ask)
        if row["kind"] == "question" and row["asker"] != OPERATOR and row["about"] is None:
            tell_end(tx, row["asker"], row, f"{by} withdrew {ask}, your question to {row['target']}.")
    ended(tx, row, "cancelled")
    return AsksCancelled(id=ask)


def wait(tx: Tx, caller: Caller, request: AsksWait) -> AsksWaited | None:
    """Tell how a permission of the caller ended; None while it is open. Expired and cancelled mean: denied.

    Raises:
        Unknown: no such ask, or none of the caller's. Invalid: it is a question.
    """
    row = _mine(tx, caller, request.ask)
    if caller.name != row["asker"]:
        raise unknown("ask", request.ask)
    if row["kind"] != "permission":
        raise Invalid(f"{request.ask} is a question: its answer comes as mail")
    return None if row["state"] == "open" else AsksWaited(ask=ask_of(row))
