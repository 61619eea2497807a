"""What is asked for a job from outside the fleet, how that is decided, and what a publisher and a watcher learn."""

from typing import Any

import pytest

from broker.services import jobs
from tests.broker.services.test_jobs import job
from tests.fakes import asks
from tests.fakes.jobs import Publisher, cancel, claim, heard, publisher, register
from tests.fakes.office import OPERATOR_CALLER, FakeOffice
from wire.asks import MAX_OPEN
from wire.errors import Denied
from wire.jobs import JobsRecorded, JobsShown, JobsWatch, Mark


def test_the_decision_is_recorded_on_the_job_and_mailed_to_who_registered_it(office: FakeOffice) -> None:
    """[X20] The operator's answer is mail for the agent, and stands on the job; the agent cannot decide itself."""
    alice = office.harness("alice")
    worker = Publisher(office, claim(office, job=register(office, alice).job))
    worker.say("permission_required", detail="push to main")
    with pytest.raises(Denied, match="is your own"):
        asks.answer(office, alice, "a1", "allow")
    asks.answer(office, OPERATOR_CALLER, "a1", "deny")
    opened = office.open(alice)
    assert opened is not None
    assert opened.turn is not None
    (mail,) = opened.turn.mail
    assert (mail.sender, mail.body) == ("operator", "deny")
    (row,) = office.do(lambda tx: tx.all("jobs.asks_of", id=worker.job))
    assert (row["state"], row["answer"], row["answered_by"]) == ("answered", b"deny", "operator")
    assert job(office, worker.job).state == "running"


def test_a_permission_of_the_operators_own_job_is_for_the_operator(office: FakeOffice) -> None:
    """[X20] Who registered it may answer, as the operator is a person; nobody gets mail."""
    worker = publisher(office)
    worker.say("permission_required", detail="push to main")
    answered = asks.answer(office, OPERATOR_CALLER, "a1", "allow")
    assert answered.message is None


def test_a_watch_returns_with_a_decision(office: FakeOffice) -> None:
    """[X20] Nothing new was said: what was decided is news too, once."""
    worker = publisher(office)
    worker.say("permission_required", detail="push to main")

    def watched(decided: int | None) -> JobsShown | None:
        request = JobsWatch(job=worker.job, after=1, wait_s=30, decided_at_ms=decided)
        return office.do(lambda tx: jobs.watch(tx, OPERATOR_CALLER, request))

    assert watched(0) is None
    asks.answer(office, OPERATOR_CALLER, "a1", "allow")
    assert "operator" in office.last.effects.woken
    shown = watched(0)
    assert shown is not None
    assert [(one.id, one.state, one.answer) for one in shown.asks] == [("a1", "answered", "allow")]
    assert watched(office.clock.now_ms()) is None
    assert watched(None) is None  # who only looks for events


def test_equal_permissions_are_one_ask_and_a_flood_is_bounded(office: FakeOffice) -> None:
    """DESIGN 8: equal ones are one while it is open; a job fills nobody's list, and every event is recorded."""
    worker = publisher(office)
    for _ in range(3):
        assert worker.say("permission_required", detail="push to main").ruling == "accepted"
    assert len(office.rows("SELECT 1 FROM asks")) == 1
    for number in range(MAX_OPEN + 5):
        worker.say("permission_required", detail=f"push number {number}")
    assert len(office.rows("SELECT 1 FROM asks")) == MAX_OPEN
    asks.answer(office, OPERATOR_CALLER, "a1", "allow")
    worker.say("permission_required", detail="push to main")
    assert len(office.rows("SELECT 1 FROM asks WHERE state = 'open'")) == MAX_OPEN


def test_what_programs_ask_takes_none_of_an_agents_own_questions(office: FakeOffice) -> None:
    """Ours: an agent that registered a job may ask as much as before."""
    alice = office.harness("alice")
    worker = Publisher(office, claim(office, job=register(office, alice).job))
    for number in range(MAX_OPEN):
        worker.say("permission_required", detail=f"push number {number}")
    asks.ask(office, alice, "bob", "which pump?")


@pytest.mark.parametrize("end", ["completed", "error", "cancelled"])
def test_the_end_of_a_job_ends_what_was_asked_for_it(office: FakeOffice, end: Any) -> None:
    """[X20] Nobody needs the answer any more; answered ones stay as they are."""
    worker = publisher(office)
    worker.say("permission_required", detail="one")
    worker.say("permission_required", detail="two")
    asks.answer(office, OPERATOR_CALLER, "a1", "allow")
    if end == "cancelled":
        cancel(office, worker.job)
    else:
        worker.say(end)
    assert [row["state"] for row in office.rows("SELECT state FROM asks ORDER BY id")] == ["answered", "cancelled"]


def test_an_agent_does_not_answer_the_permission_of_its_own_turn(office: FakeOffice) -> None:
    """[X20] Its harness has asked for it, and its job is linked to that: the operator decides all the same."""
    bob = office.harness("bob")
    name = register(office, to="bob").job
    opened = office.open(bob)
    assert opened is not None
    assert opened.turn is not None
    worker = Publisher(office, claim(office, bob, name, turn=opened.turn.id))
    put = asks.ask(office, bob, "operator", "Bash(git push)", kind="permission")
    worker.say("permission_required", detail="Bash(git push)", data={"ask": put.id})
    (row,) = office.rows("SELECT job, kind FROM asks")
    assert (row["job"], row["kind"]) == (name, "permission")
    with pytest.raises(Denied, match="is your own"):
        asks.answer(office, bob, put.id, "allow")


def test_what_was_refused_is_counted_where_the_job_is_shown(office: FakeOffice) -> None:
    """[X18] By reason; of another job's topic nothing."""
    worker, other = publisher(office), publisher(office)
    payload = worker.signed("progress")
    for _ in range(3):
        heard(office, other.claimed.topic, payload)
    heard(office, worker.claimed.topic, b"{}")
    rows = office.do(lambda tx: tx.all("jobs.refused_of", topic=other.claimed.topic))
    assert [tuple(row) for row in rows] == [("foreign", 3)]
    assert office.do(lambda tx: tx.all("jobs.refused_of", topic="another/topic")) == []


def test_a_publisher_learns_what_was_made_of_its_events(office: FakeOffice) -> None:
    """DESIGN 7: accepted, late, conflicting; of one that was never taken nothing."""
    worker = publisher(office)
    for event in ("completed", "progress", "error"):
        worker.say(event)
    request = JobsRecorded(marks=[Mark(job=worker.job, epoch=1, seq=seq) for seq in (1, 2, 3, 4)])
    told = office.do(lambda tx: jobs.recorded(tx, OPERATOR_CALLER, request))
    assert told.fates == ["recorded", "recorded", "recorded", "unknown"]
    assert told.verdicts == ["accepted", "late", "conflicting", None]
