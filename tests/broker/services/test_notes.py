"""Sessions that make notes shorter, as the broker sees them: when they may run, and that their cost is counted."""

from typing import Any

import pytest

from broker.services import notes
from broker.services.callers import Caller
from tests.broker.services.refusals import refused
from tests.fakes.office import FakeOffice, by_token, kept
from wire.errors import Invalid, Stale
from wire.notes import NotesBegin, NotesBegun, NotesEnd, NotesEnded
from wire.settings import AgentSettings, Settings
from wire.turns import Usage

OWN = by_token("alice")


def begin(office: FakeOffice, caller: Caller) -> NotesBegun:
    """Ask whether a session may run."""
    return office.do(lambda tx: notes.begin(tx, caller, NotesBegin()))


def end(office: FakeOffice, caller: Caller, **fields: Any) -> NotesEnded:
    """Count one."""
    request = NotesEnd.model_validate({"key": office.key(), "outcome": "completed", **fields})
    return office.do(lambda tx: notes.end(tx, caller, request))


def test_between_turns_it_may_and_is_told_what_waits(office: FakeOffice, bob: Caller) -> None:
    """[H33]: asking changes nothing."""
    before = office.contents()
    assert begin(office, bob) == NotesBegun(allowed=True)
    assert office.contents() == before
    office.send(OWN, "bob")
    office.send(OWN, "bob")
    assert begin(office, bob) == NotesBegun(allowed=True, waiting=2)


def test_never_while_a_turn_runs(office: FakeOffice, bob: Caller) -> None:
    """[H33]: the agent may write its notes in it."""
    office.send(OWN, "bob")
    turn = office.opened(bob)
    assert begin(office, bob).why == "a turn is open"
    office.close(bob, turn.id)
    assert begin(office, bob).allowed


def test_not_for_somebody_who_is_paused_or_attended(office: FakeOffice, bob: Caller) -> None:
    """[H33]: nothing runs for it then."""
    office.pause("bob")
    assert "paused" in begin(office, bob).why
    session = office.session("carol")
    assert "its own business" in begin(office, session).why


def test_not_beyond_the_budget_in_which_it_is_counted(office: FakeOffice) -> None:
    """[H33] [H37]: what such a session costs is the agent's cost."""
    office.apply(Settings(agents={"dora": AgentSettings(daily_budget_tokens=100)}))
    dora = office.harness("dora")
    assert begin(office, dora).allowed
    end(office, dora, usage=Usage(input_tokens=90, output_tokens=20))
    assert begin(office, dora).why == "its budget for today is spent"


def test_it_is_counted_as_a_turn_without_mail(office: FakeOffice, bob: Caller) -> None:
    """[H33] [H37]: in the statistics too; it is over, so no turn is open."""
    ended = end(office, bob, reason="from 40 to 12 KiB", usage=Usage(input_tokens=5), took_ms=2_000)
    row = office.row("SELECT * FROM turns WHERE agent = 'bob'")
    assert (f"t{row['id']}", row["state"], row["messages"]) == (ended.turn, "closed", 0)
    assert row["reason"] == "notes: from 40 to 12 KiB"
    assert row["closed_at"] - row["opened_at"] == 2_000
    assert begin(office, bob).allowed
    office.send(OWN, "bob")
    assert office.opened(bob).id != ended.turn


def test_only_the_holder_may_count_one(office: FakeOffice, bob: Caller) -> None:
    """[H33] DESIGN 5.7: nor may it use the broker's own words."""
    refused(office, Invalid, lambda: end(office, bob, outcome="fenced"))
    office.harness("bob", takeover=True)
    refused(office, Stale, lambda: end(office, bob))
    refused(office, Stale, lambda: begin(office, bob))


@pytest.mark.parametrize("took_ms", [-1, 86_400_001])
def test_a_length_that_cannot_be_is_refused(took_ms: int) -> None:
    """Ours: bounded like every figure."""
    with pytest.raises(ValueError, match="took_ms"):
        NotesEnd(key="k", outcome="completed", took_ms=took_ms)


def test_a_repeated_count_counts_once(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 4 Retries: the same key gives the first answer again, and one turn."""
    request = NotesEnd(key="once", outcome="completed", usage=Usage(input_tokens=5))
    act = kept(notes.end, bob, request, NotesEnded)
    first, again = office.do(act), office.do(act)
    assert first == again
    assert len(office.rows("SELECT 1 FROM turns WHERE agent = 'bob'")) == 1
