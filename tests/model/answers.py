"""Answers of the real post office in the words of the paper one, so that the two can be compared."""

from collections.abc import Iterable
from typing import Any

from broker.store.jobs import Outcome
from tests.model.paper_acts import Answer
from wire import agents, inbox, turns
from wire.fleet import Change


def answer_of(outcome: Outcome[Any]) -> Answer:
    """Put an outcome into words; a refusal is its code."""
    if outcome.error is not None:
        return ("refused", outcome.error.code)
    return in_words(outcome.value)


def in_words(value: object) -> Answer:
    """Put a result into words."""
    match value:
        case None:
            return None
        case inbox.InboxSent():
            skipped = tuple((one.name, one.reason) for one in value.skipped)
            told = (value.to, tuple(value.recipients), skipped, len(value.warnings))
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
        case inbox.InboxAcked():
            return ("read", tuple(value.ids))
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


def _of_changes(changes: Iterable[Change]) -> Answer:
    return ("applied", tuple((change.subject, change.change) for change in changes))


def _turn(turn: turns.Turn | None) -> Answer:
    return None if turn is None else (turn.id, _mail(turn.mail), turn.waiting, turn.carried)


def _mail(mail: Iterable[inbox.Mail]) -> Answer:
    return tuple(
        (one.id, one.sender, one.kind, one.broadcast, one.attempt, tuple(sent.id for sent in one.earlier))
        for one in mail
    )
