"""Asks in a fake office: each verb is a command, committed alone by `office.do`, counted by `Call`."""

from typing import Any

from broker.services import asks
from broker.services.callers import Caller
from broker.services.replies import once
from broker.store.group import Command
from tests.fakes.office import Call, FakeOffice, kept
from wire.asks import (
    AsksAnswer,
    AsksAnswered,
    AsksAsk,
    AsksAsked,
    AsksCancel,
    AsksCancelled,
    AsksWait,
    AsksWaited,
)


def asking(
    office: FakeOffice, caller: Caller, to: str = "bob", question: str = "Which pump?", **fields: Any
) -> Command[AsksAsked]:
    """Make the command that asks; `key` makes it repeatable."""
    request = AsksAsk.model_validate({"key": office.key(), "to": to, "question": question, **fields})
    rules = office.rules
    return lambda tx: once(tx, caller, request, AsksAsked, lambda: asks.ask(tx, caller, request, rules))


def ask(office: FakeOffice, caller: Caller, to: str = "bob", question: str = "Which pump?", **fields: Any) -> AsksAsked:
    """See `asks.ask`."""
    return office.do(asking(office, caller, to, question, **fields))


def permission(office: FakeOffice, caller: Caller, question: str = "Bash: rm -r x", **fields: Any) -> AsksAsked:
    """Ask for a permission as a harness does."""
    return ask(office, caller, fields.pop("to", "operator"), question, kind="permission", **fields)


def answering(
    office: FakeOffice, caller: Caller, ask: str, answer: str = "the left one", key: str | None = None
) -> Command[AsksAnswered]:
    """Make the command that answers."""
    request = AsksAnswer(key=key or office.key(), ask=ask, answer=answer)
    rules = office.rules
    return lambda tx: once(tx, caller, request, AsksAnswered, lambda: asks.answer(tx, caller, request, rules))


def answer(
    office: FakeOffice, caller: Caller, ask: str, answer: str = "the left one", key: str | None = None
) -> AsksAnswered:
    """See `asks.answer`."""
    return office.do(answering(office, caller, ask, answer, key))


def cancelling(office: FakeOffice, caller: Caller, ask: str, key: str | None = None) -> Command[AsksCancelled]:
    """Make the command that withdraws."""
    return kept(asks.cancel, caller, AsksCancel(key=key or office.key(), ask=ask), AsksCancelled)


def cancel(office: FakeOffice, caller: Caller, ask: str, key: str | None = None) -> AsksCancelled:
    """See `asks.cancel`."""
    return office.do(cancelling(office, caller, ask, key))


def waiting(office: FakeOffice, caller: Caller, ask: str, wait_s: float = 180.0) -> Call[AsksWaited | None]:
    """Park until a permission has ended; it may be at once."""
    request = AsksWait(ask=ask)
    call: Call[AsksWaited | None] = Call(office, lambda tx: asks.wait(tx, caller, request))
    office.commit(call.parked(caller.name, wait_s))
    return call


def state(office: FakeOffice, ask: str) -> str:
    """Give the stored state of an ask."""
    return office.row("SELECT state FROM asks WHERE id = :ask", ask=int(ask[1:]))["state"]
