"""The monitor of jobs: silence, abandoned turns, what has been kept long enough."""

from typing import Any

import pytest

from broker.services import job_monitor, job_views, retention
from tests.broker.services.test_jobs import job
from tests.fakes.jobs import Publisher, claim, publisher, register
from tests.fakes.office import OPERATOR_CALLER, FakeOffice
from wire.errors import Denied, Unknown
from wire.jobs import JobsReconcile, JobsSessions, Session
from wire.settings import RetentionSettings


def noted(office: FakeOffice, job: str, epoch: int = 1, reason: str = "process 7 has ended") -> bool:
    """See `job_monitor.note_ended`."""
    request = JobsReconcile(key=office.key(), job=job, epoch=epoch, reason=reason)
    return office.do(lambda tx: job_monitor.note_ended(tx, OPERATOR_CALLER, request)).changed


async def sessions(office: FakeOffice, **fields: Any) -> list[Session]:
    """See `job_views.list_sessions`."""
    async with office.reading() as reader:
        return (await job_views.list_sessions(reader, JobsSessions(**fields))).sessions


async def counts(office: FakeOffice) -> dict[str, int]:
    """See `job_views.counts`."""
    async with office.reading() as reader:
        return await job_views.counts(reader)


def told(office: FakeOffice) -> list[str]:
    """Give what the operator was told."""
    rows = office.rows(
        "SELECT m.body FROM messages m JOIN deliveries d ON d.message = m.id"
        " WHERE d.recipient = 'operator' AND m.kind = 'system' ORDER BY m.id"
    )
    return [row["body"] for row in rows]


def test_a_job_that_is_silent_for_too_long_is_told_once(office: FakeOffice) -> None:
    """Issue: time-outs counted from receipt; an event begins the wait anew, and is no end."""
    worker = publisher(office, timeout_s=60)
    office.pass_time(50)
    worker.say("progress")
    office.pass_time(59)
    assert told(office) == []
    office.pass_time(2)
    (text,) = told(office)
    assert f"job {worker.job} is silent for 61 s; operator works on it" in text
    assert job(office, worker.job).overdue
    office.pass_time(600)
    assert len(told(office)) == 1
    worker.say("progress")
    assert not job(office, worker.job).overdue
    assert job(office, worker.job).due_at_ms == office.clock.now_ms() + 60_000


def test_a_job_that_has_ended_is_never_overdue(office: FakeOffice) -> None:
    """Ours: only running ones."""
    worker = publisher(office, timeout_s=60)
    worker.say("completed")
    office.pass_time(1000)
    assert told(office) == []


def test_a_turn_that_ended_without_the_end_of_its_job_is_reported(office: FakeOffice) -> None:
    """DESIGN 7: it leaves the job running; the monitor says so, once, after a minute."""
    bob = office.harness("bob")
    name = register(office, to="bob").job
    opened = office.open(bob)
    assert opened is not None
    assert opened.turn is not None
    claim(office, bob, name, turn=opened.turn.id)
    office.close(bob, opened.turn.id)
    office.do(job_monitor.reconcile)
    assert told(office) == []
    office.pass_time(61)
    for _ in range(3):
        office.do(job_monitor.reconcile)
    (text,) = told(office)
    assert f"job {name} is still open: bob's turn" in text
    assert job(office, name).state == "running"
    assert [row["state"] for row in office.rows("SELECT state FROM sessions")] == ["terminated"]


def test_jobs_and_their_secrets_are_forgotten_after_their_time(office: FakeOffice) -> None:
    """[X06] Retention: the secret after a day, the job after thirty; what MQTT retains is cleared."""
    ended, running = publisher(office), publisher(office)
    ended.say("completed")
    running.say("started")
    office.pass_time(25 * 3600)
    sweep(office)
    secrets = {row["id"]: row["secret"] for row in office.rows("SELECT id, secret FROM jobs")}
    assert secrets[ended.job] is None
    assert secrets[running.job] is not None
    office.pass_time(31 * 24 * 3600)
    sweep(office)
    assert [row["id"] for row in office.rows("SELECT id FROM jobs")] == [running.job]
    assert {row["job"] for row in office.rows("SELECT job FROM job_events UNION SELECT job FROM sessions")} == {
        running.job
    }
    (post,) = office.rows("SELECT topic, payload, retain FROM job_posts")
    assert (post["topic"], post["payload"], post["retain"]) == (ended.claimed.topic, b"", 1)


def sweep(office: FakeOffice) -> None:
    """Let retention run to its end."""
    for step in retention.steps(RetentionSettings()):
        while office.do(step):
            pass


def test_a_session_of_an_ended_job_is_closed_whatever_left_it_open(office: FakeOffice) -> None:
    """[X09] Listening and a look round: what an end did not close is closed by the next round, once."""
    worker, other = publisher(office), publisher(office)
    worker.say("completed")
    office.database.connection.execute("UPDATE sessions SET state = 'running', ended_at = NULL")
    for _ in range(2):
        office.do(job_monitor.reconcile)
    rows = {row["job"]: row["state"] for row in office.rows("SELECT job, state FROM sessions")}
    assert rows == {worker.job: "stopped", other.job: "running"}
    assert office.logged("job_sessions_closed") == [{"sessions": 1}]


def test_a_process_that_has_ended_ends_its_session_and_no_job(office: FakeOffice) -> None:
    """[X10] [P14] The job stays open for the next claim; who registered it is told; a second time nothing happens."""
    alice = office.harness("alice")
    name = register(office, alice, notify=True).job
    claim(office, job=name, process="process 7")
    assert noted(office, name)
    (session,) = office.rows("SELECT state, reason, process, ended_at FROM sessions")
    assert tuple(session) == ("terminated", "process 7 has ended", None, office.clock.now_ms())
    assert job(office, name).state == "running"
    opened = office.open(alice)
    assert opened is not None
    assert opened.turn is not None
    (mail,) = opened.turn.mail
    assert mail.body.startswith(f"job {name} is still open, but process 7 has ended.")
    assert not noted(office, name)
    assert claim(office, job=name).job is not None


def test_an_agent_names_no_process(office: FakeOffice) -> None:
    """[X09] What a claim names may be ended by the operator's hand: an agent must not choose it."""
    bob = office.harness("bob")
    name = register(office).job
    with pytest.raises(Denied, match="only the operator"):
        claim(office, bob, name, process="process 1")
    assert job(office, name).state == "pending"


def test_the_process_of_an_ended_job_is_only_forgotten(office: FakeOffice) -> None:
    """[X09] Its session ended with the job, and stays as it ended; one that nobody has is refused."""
    name = register(office).job
    worker = Publisher(office, claim(office, job=name, process="process 7"))
    worker.say("completed")
    assert noted(office, name)
    (session,) = office.rows("SELECT state, reason, process FROM sessions")
    assert tuple(session) == ("stopped", "completed", None)
    assert not noted(office, name)
    for job_id, epoch in ((name, 2), ("j-nobody", 1)):
        with pytest.raises(Unknown):
            noted(office, job_id, epoch)


async def test_sessions_that_may_still_run_are_told_from_the_others(office: FakeOffice) -> None:
    """[X09] [X10] What a reconcile has to look at: running ones, named processes, open turns, jobs without anybody."""
    plain, outside, waiting = publisher(office), register(office).job, publisher(office, timeout_s=60)
    Publisher(office, claim(office, job=outside, process="process 7")).say("completed")
    plain.say("completed")
    noted(office, waiting.job)
    office.pass_time(61)
    bob = office.harness("bob")
    given = register(office, to="bob").job
    opened = office.open(bob)
    assert opened is not None
    assert opened.turn is not None
    Publisher(office, claim(office, bob, given, turn=opened.turn.id)).say("error")
    listed = await sessions(office, live=True)
    shown = [(one.job, one.job_state, one.newest, one.overdue, one.turn_open, one.process) for one in listed]
    assert shown == [
        (given, "error", True, False, True, None),
        (outside, "completed", True, False, False, "process 7"),
        (waiting.job, "running", True, True, False, None),
    ]
    (only,) = await sessions(office, job=plain.job)
    assert (only.job, only.state) == (plain.job, "stopped")


async def test_jobs_are_counted_by_state(office: FakeOffice) -> None:
    """DESIGN 10: what `status` shows."""
    assert await counts(office) == {}
    register(office)
    publisher(office, timeout_s=60)
    publisher(office).say("completed")
    assert await counts(office) == {"pending": 1, "running": 1}
    office.pass_time(61)
    assert await counts(office) == {"pending": 1, "running": 1, "overdue": 1}


def test_a_late_claim_ends_the_session_before_it(office: FakeOffice) -> None:
    """[X10] One session of a job runs at a time."""
    worker = publisher(office)
    Publisher(office, claim(office, job=worker.job)).say("error")
    states = [row["state"] for row in office.rows("SELECT state FROM sessions ORDER BY number")]
    assert states == ["terminated", "stopped"]
    office.pass_time(8 * 24 * 3600)
    office.do(job_monitor.reconcile)
    assert {row["state"] for row in office.rows("SELECT state FROM sessions")} == {"archived"}
