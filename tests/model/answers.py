"""Answers of the real post office in the words of the paper one, so that the two can be compared."""

from collections.abc import Iterable
from typing import Any

from broker.services.job_events import Judgement
from broker.store.jobs import Outcome
from tests.model.paper_acts import Answer
from wire import agents, asks, inbox, jobs, letters, office, reminders, turns
from wire.fleet import Change


def answer_of(outcome: Outcome[Any]) -> Answer:
    """Put an outcome into words; a refusal is its code."""
    if outcome.error is not None:
        return ("refused", outcome.error.code)
    return in_words(outcome.value)


def in_words(value: object) -> Answer:
    """Put a result into words."""
    match value:
        case None | False:
            return None
        case True:
            return ("more is due",)
        case inbox.InboxSent():
            skipped = tuple((one.name, one.reason) for one in value.skipped)
            told = (value.to, tuple(value.recipients), skipped, len(value.warnings), value.state)
            return ("sent", value.id, *told, value.duplicate)
        case turns.TurnsOpened() | turns.TurnsTaken() | turns.TurnsClosed():
            return _of_turns(value)
        case turns.TurnsGivenBack():
            return ("given back", tuple(value.ids))
        case turns.TurnsRenewed():
            return ("renewed", value.lease_ms)
        case turns.TurnsSettled():
            return ("settled", tuple(value.acked))
        case agents.AgentsAttached():
            return ("attached", value.agent, value.epoch, value.attended, value.open_turn, value.paused)
        case agents.AgentsChanged():
            return ("changed", value.agent, value.changed, value.dead)
        case inbox.InboxChanged():
            return ("moved", tuple(sorted(value.changed)))
        case letters.InboxRecalled():
            beyond = tuple((one.id, one.recipient, one.state, one.turn) for one in value.beyond)
            return ("recalled", tuple(value.recalled), beyond)
        case office.FleetFrozen():
            return ("frozen", value.everybody, tuple(value.agents), tuple(value.changed))
        case inbox.InboxAcked():
            return ("read", tuple(value.ids))
        case asks.AsksAsked() | asks.AsksAnswered() | asks.AsksCancelled() | asks.AsksWaited():
            return _of_asks(value)
        case reminders.RemindersAdded():
            return ("set", value.id, value.next_at_ms)
        case reminders.RemindersChanged():
            one = value.reminder
            return ("reminder", one.id, one.state, one.next_at_ms, one.fired, one.attempts)
        case jobs.JobsRegistered() | jobs.JobsClaimed() | jobs.JobsChanged() | Judgement():
            return _of_jobs(value)
        case list():
            return _of_changes(value)  # pyright: ignore[reportUnknownArgumentType]  # only apply gives a list
        case _:
            raise AssertionError(f"no words for {value!r}")


def _of_turns(value: turns.TurnsOpened | turns.TurnsTaken | turns.TurnsClosed) -> Answer:
    match value:
        case turns.TurnsOpened():
            return ("opened", _turn(value.turn))
        case turns.TurnsTaken():
            return ("taken", value.turn, _mail(value.mail), value.waiting, value.exhausted)
        case turns.TurnsClosed():
            settled = (tuple(value.acked), tuple(value.given_back), tuple(value.dead))
            return ("closed", value.id, *settled, _turn(value.next))


def _of_asks(value: asks.AsksAsked | asks.AsksAnswered | asks.AsksCancelled | asks.AsksWaited) -> Answer:
    match value:
        case asks.AsksAsked():
            put = (value.id, value.to, value.deadline_at_ms)
            return ("asked", *put, value.state, len(value.warnings), value.duplicate)
        case asks.AsksAnswered():
            return ("answered", value.id, value.asker, value.message, len(value.warnings))
        case asks.AsksCancelled():
            return ("withdrawn", value.id)
        case asks.AsksWaited():
            ask = value.ask
            return None if ask is None else ("waited", ask.id, ask.state, ask.answer, ask.answered_by)


def _of_jobs(value: jobs.JobsRegistered | jobs.JobsClaimed | jobs.JobsChanged | Judgement) -> Answer:
    match value:
        case jobs.JobsRegistered():
            return ("registered", value.job, value.to, value.message, len(value.warnings))
        case jobs.JobsClaimed():
            job = value.job
            return ("claimed", None) if job is None else (
                "claimed", job.id, job.epoch, job.claimed_by, value.topic, job.due_at_ms
            )  # fmt: skip
        case jobs.JobsChanged():
            return ("job", value.job.id, value.job.state, value.changed)
        case Judgement():
            return ("heard", value.ruling, value.reason, value.number)


def _of_changes(changes: Iterable[Change]) -> Answer:
    return ("applied", tuple((change.subject, change.change) for change in changes))


def _turn(turn: turns.Turn | None) -> Answer:
    if turn is None:
        return None
    return (turn.id, _mail(turn.mail), turn.waiting, turn.carried, tuple(ask.id for ask in turn.open_asks))


def _mail(mail: Iterable[inbox.Mail]) -> Answer:
    return tuple(
        (
            one.id,
            one.sender,
            one.kind,
            one.broadcast,
            one.attempt,
            tuple(sent.id for sent in one.earlier),
            one.earlier_more,
        )
        for one in mail
    )
