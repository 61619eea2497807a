"""Jobs where something around them changes: the clock, the agents, the hand that ends them."""

import pytest

from tests.broker.services.test_jobs import job
from tests.fakes.jobs import Publisher, cancel, claim, heard, publisher, register
from tests.fakes.office import FakeOffice
from wire.events import Event, sign

HOUR_MS = 3_600_000


@pytest.mark.parametrize("step_ms", [-90 * 24 * HOUR_MS, -HOUR_MS, HOUR_MS, 90 * 24 * HOUR_MS])
def test_a_time_out_is_as_long_as_it_was_when_the_clock_is_set(office: FakeOffice, step_ms: int) -> None:
    """DESIGN 7, reliability 4.2: time-outs are counted from receipt, whatever somebody does to the clock."""
    worker = publisher(office, timeout_s=60)
    worker.say("started")
    office.pass_time(20)
    office.set_clock(step_ms)
    office.pass_time(39)
    assert not job(office, worker.job).overdue
    office.pass_time(2)
    assert job(office, worker.job).overdue
    (notice,) = office.notices("operator")
    assert "is silent for 61 s" in notice


def test_a_clock_that_was_set_back_over_a_restart_keeps_no_job_waiting_for_longer(office: FakeOffice) -> None:
    """DESIGN 7: nobody has seen the step; a whole time-out begins anew."""
    worker = publisher(office, timeout_s=60)
    office.clock.step_wall(-90 * 24 * HOUR_MS)
    office.clock.re_anchor()
    office.restart()
    office.pass_time(61)
    assert job(office, worker.job).overdue


def test_an_agent_that_was_removed_gets_no_word_of_its_jobs(office: FakeOffice) -> None:
    """DESIGN 5.18: no mail is put where nobody will ever read it."""
    alice = office.harness("alice")
    worker = Publisher(office, claim(office, job=register(office, alice, notify=True).job))
    office.remove("alice")
    worker.say("permission_required", detail="rm -r build")
    worker.say("completed")
    assert office.notices("alice") == []
    (ask,) = office.rows("SELECT asker, target FROM asks")
    assert (ask["asker"], ask["target"]) == ("operator", "operator")


def test_the_epoch_of_a_cancel_is_nobodys(office: FakeOffice) -> None:
    """DESIGN 7: whoever had the claim has the secret, and still cannot speak under an epoch that it was not granted."""
    worker = publisher(office)
    worker.say("started")
    cancel(office, worker.job)
    claimed = worker.claimed
    forged = Event(claimed.fleet, worker.job, claimed.kid, 2, 2, "completed", "2026-11-21T10:00:00.000Z")
    assert heard(office, claimed.topic, sign(forged, claimed.topic, claimed.secret)).reason == "not_yours"
    assert worker.say("progress").reason == "fenced"
    ended = job(office, worker.job)
    assert (ended.state, ended.events) == ("cancelled", 2)
