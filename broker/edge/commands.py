"""Ops that are one command on the writer: which function, with which arguments. No logic."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from broker.services import (
    agents,
    asks,
    inbox,
    job_imports,
    job_monitor,
    jobs,
    letters,
    notes,
    recall,
    reminders,
    settling,
    turns,
)
from broker.services.callers import Caller, Rules
from broker.services.replies import once
from broker.store.tx import Tx
from wire import agents as wire_agents
from wire import asks as wire_asks
from wire import inbox as wire_inbox
from wire import jobs as wire_jobs
from wire import letters as wire_letters
from wire import notes as wire_notes
from wire import reminders as wire_reminders
from wire import turns as wire_turns
from wire.model import Mutation, Request, Result

Write = Callable[[Tx, Caller, Any, Rules], Result]


def _plain(command: Callable[[Tx, Caller, Any], Result]) -> Write:
    return lambda tx, caller, request, _rules: command(tx, caller, request)


def _once(command: Callable[[Tx, Caller, Any], Result], result: type[Result]) -> Write:
    """Wrap a command so that its key makes retries safe."""

    def write(tx: Tx, caller: Caller, request: Mutation, _rules: Rules) -> Result:
        return once(tx, caller, request, result, lambda: command(tx, caller, request))

    return write


def _once_ruled(command: Write, result: type[Result]) -> Write:
    """The same for a command that asks what the fleet allows."""

    def write(tx: Tx, caller: Caller, request: Mutation, rules: Rules) -> Result:
        return once(tx, caller, request, result, lambda: command(tx, caller, request, rules))

    return write


WRITES: dict[str, Write] = {
    "inbox.send": inbox.send,
    "inbox.ack": _once(letters.ack, wire_inbox.InboxAcked),
    "inbox.requeue": _once(letters.requeue, wire_inbox.InboxChanged),
    "inbox.discard": _once(letters.discard, wire_inbox.InboxChanged),
    "inbox.release": _once(letters.release, wire_inbox.InboxChanged),
    "inbox.recall": _once(recall.recall, wire_letters.InboxRecalled),
    "asks.ask": _once_ruled(asks.ask, wire_asks.AsksAsked),
    "asks.answer": _once_ruled(asks.answer, wire_asks.AsksAnswered),
    "asks.cancel": _once(asks.cancel, wire_asks.AsksCancelled),
    "reminders.add": _once_ruled(reminders.add, wire_reminders.RemindersAdded),
    "reminders.cancel": _once(reminders.cancel, wire_reminders.RemindersChanged),
    "reminders.retry": _once(reminders.retry, wire_reminders.RemindersChanged),
    "jobs.register": _once_ruled(jobs.register, wire_jobs.JobsRegistered),
    "jobs.claim": _once_ruled(jobs.claim, wire_jobs.JobsClaimed),
    "jobs.import": _once_ruled(job_imports.take_over, wire_jobs.JobsImported),
    "jobs.recorded": _plain(jobs.recorded),
    "jobs.reconcile": _once(job_monitor.note_ended, wire_jobs.JobsReconciled),
    "jobs.cancel": _once_ruled(jobs.cancel, wire_jobs.JobsChanged),
    "turns.give_back": _plain(settling.give_back),
    "turns.renew": _plain(turns.renew),
    "turns.resume": _plain(turns.resume),
    "turns.close": _plain(settling.close),
    "turns.settle": _plain(settling.settle),
    "notes.begin": _plain(notes.begin),
    "notes.end": _once(notes.end, wire_notes.NotesEnded),
    "agents.pause": _once(agents.pause, wire_agents.AgentsChanged),
    "agents.resume": _once(agents.pause, wire_agents.AgentsChanged),
    "agents.restart": _once(agents.restart, wire_agents.AgentsChanged),
}
"""By op. Each runs in one transaction and is answered after its commit."""


@dataclass(frozen=True, slots=True)
class Park:
    """An op that waits until its command gives something."""

    command: Callable[..., Result | None]
    nothing: Callable[[Request], Result]
    """The answer when the wait passed without anything."""
    is_open: bool


def _no_mail(request: Request) -> Result:
    asked = cast("wire_turns.TurnsTake", request)
    return wire_turns.TurnsTaken(turn=asked.turn, mail=[], waiting=0)


PARKS: dict[str, Park] = {
    "turns.open": Park(turns.open_turn, lambda _: wire_turns.TurnsOpened(turn=None), is_open=True),
    "turns.take": Park(turns.take, _no_mail, is_open=False),
    "asks.wait": Park(asks.wait, lambda _: wire_asks.AsksWaited(), is_open=False),
    "jobs.watch": Park(jobs.watch, lambda _: wire_jobs.JobsShown(), is_open=False),
}


def before_parking(caller: Caller, request: Request) -> Callable[[Tx], Result] | None:
    """Give what has to be committed before the wait begins: an attended `done` settles at once."""
    if not isinstance(request, wire_turns.TurnsTake) or request.done is None or not caller.attended:
        return None
    settle = wire_turns.TurnsSettle(done=request.done)
    return lambda tx: settling.settle(tx, caller, settle)
