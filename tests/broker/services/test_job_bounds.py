"""What keeps the tables of jobs small: events go after their time, and agents have only so many jobs open."""

import pytest

from broker.services import job_monitor, jobs
from broker.services.job_monitor import DAY_MS
from tests.broker.services.test_job_monitor import sweep
from tests.broker.services.test_jobs import job
from tests.fakes.jobs import Publisher, cancel, claim, fates, heard, publisher, register
from tests.fakes.office import FakeOffice
from tests.fakes.verbs import Call
from wire.errors import Limited
from wire.jobs import JobsShown, JobsWatch

MONTH_S = 31 * 24 * 3600


def numbers(office: FakeOffice) -> list[int]:
    """Give the sequence numbers of the events that are kept."""
    return [row["seq"] for row in office.rows("SELECT seq FROM job_events ORDER BY number")]


def test_a_job_that_goes_on_keeps_no_event_for_ever(office: FakeOffice) -> None:
    """[X06] Retention: older ones go, their numbers stay taken and count; a publisher that asks late learns so."""
    worker = publisher(office)
    worker.say("started")
    worker.say("progress")
    office.pass_time(MONTH_S)
    worker.say("progress")
    sweep(office)
    assert numbers(office) == [3]
    assert fates(office, *((worker.job, 1, seq) for seq in (1, 2, 3, 4))) == ["recorded"] * 3 + ["unknown"]
    assert heard(office, worker.claimed.topic, worker.said[0]).reason == "replayed"
    assert worker.say("completed").ruling == "accepted"
    assert (job(office, worker.job).state, job(office, worker.job).events) == ("completed", 4)


def test_a_job_goes_behind_what_came_after_its_end(office: FakeOffice) -> None:
    """[X06] Its events go some at a time; its end stays as long as it does."""
    worker = publisher(office)
    worker.say("started")
    worker.say("completed", detail="12 pumps")
    office.pass_time(23 * 3600)
    assert worker.say("progress").ruling == "late"
    office.pass_time(MONTH_S - DAY_MS // 1000 - 12 * 3600)
    sweep(office)
    assert numbers(office) == [2, 3]
    assert job(office, worker.job).state == "completed"
    office.pass_time(2 * 24 * 3600)
    sweep(office)
    assert office.rows("SELECT id FROM jobs") == []
    assert numbers(office) == []


def test_no_more_than_so_many_events_go_in_one_transaction(office: FakeOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 5.19: in small commands, so that others run between; what ended a job goes with it."""
    monkeypatch.setattr(job_monitor, "ROWS", 4)
    worker = publisher(office)
    for _ in range(5):
        worker.say("progress")
    worker.say("completed")
    office.pass_time(MONTH_S)
    kept: list[int] = []
    while office.do(lambda tx: job_monitor.forget_events(tx, 30 * DAY_MS)):
        kept.append(len(numbers(office)))
    assert (kept, numbers(office)) == ([2], [6])
    assert job(office, worker.job).state == "completed"


def test_an_agent_has_only_so_many_jobs_open(office: FakeOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: what is open is never forgotten; an end makes room, and nobody else pays for it."""
    monkeypatch.setattr(jobs, "MAX_OPEN", 2)
    alice, bob = office.harness("alice"), office.harness("bob")
    first, _ = register(office, alice).job, register(office, alice, to="bob")
    with pytest.raises(Limited, match=r"2 of your jobs are open.*ask the operator to cancel"):
        register(office, alice, to="bob")
    assert len(office.rows("SELECT id FROM messages")) == 1  # neither the job nor its mail
    register(office, bob)
    for _ in range(3):
        register(office)
    Publisher(office, claim(office, job=first)).say("completed")
    assert register(office, alice).job


def test_who_had_the_claim_before_learns_what_was_recorded_of_it(office: FakeOffice) -> None:
    """Reliability 4.2: asked before anything else: what is on the record is recorded, whoever has the job now."""
    bob, carol = office.harness("bob"), office.harness("carol")
    first = Publisher(office, claim(office, bob, register(office).job))
    first.say("started")
    second = Publisher(office, claim(office, job=first.job))
    second.say("started")
    assert fates(office, (first.job, 1, 1), (first.job, 1, 2), (first.job, 2, 1), caller=bob) == [
        "recorded", "fenced", "fenced",
    ]  # fmt: skip
    assert fates(office, (first.job, 1, 1), (first.job, 2, 1), caller=carol) == ["fenced"] * 2


def test_a_cancel_wakes_whoever_was_given_the_job(office: FakeOffice) -> None:
    """Ours: also before it has claimed it."""
    bob = office.harness("bob")
    name = register(office, to="bob").job
    watching: Call[JobsShown | None] = Call(office, lambda tx: jobs.watch(tx, bob, JobsWatch(job=name)))
    office.commit(watching.parked("bob", 60))
    assert watching.waits
    cancel(office, name)
    shown = watching.get()
    assert shown is not None
    assert shown.job is not None
    assert shown.job.state == "cancelled"
