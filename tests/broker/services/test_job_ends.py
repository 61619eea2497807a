"""What MQTT retains of a job is the end that was recorded, whoever says another one."""

import pytest

from broker.services import job_ends, job_events, job_monitor
from tests.fakes.jobs import Publisher, cancel, claim, heard, publisher
from tests.fakes.office import FakeOffice
from wire.canonical import MAX_BYTES

DAY_S = 24 * 3600


def posts(office: FakeOffice) -> list[tuple[str, bytes, int]]:
    """Take what is to be published: topic, bytes, whether it is retained."""
    rows = [tuple(row) for row in office.rows("SELECT topic, payload, retain FROM job_posts ORDER BY number")]
    for row in office.rows("SELECT number FROM job_posts"):
        office.do(lambda tx, number=row["number"]: tx.run("jobs.posted", number=number))
    return rows


def cleared(office: FakeOffice, topic: str) -> None:
    """Let the bridge hear that what is retained was cleared."""
    office.do(lambda tx: job_events.cleared(tx, topic, office.rules))


def test_the_late_end_of_a_fenced_claimant_does_not_stay_retained(office: FakeOffice) -> None:
    """[X06] Issue 5: cancelled, then its claimant's `completed` leaves the outbox: who comes late sees `cancelled`."""
    worker = publisher(office)
    cancel(office, worker.job)
    ((topic, end, _),) = posts(office)
    assert worker.say("completed").reason == "fenced"
    assert posts(office) == [(topic, end, 1)]
    assert heard(office, topic, worker.said[-1]).ruling == "refused"  # again: it may be retained again
    assert posts(office) == [(topic, end, 1)]
    assert heard(office, topic, end).ruling == "duplicate"  # the broker's own voice
    assert posts(office) == []


def test_a_second_end_does_not_stay_retained_nor_a_copy_of_it(office: FakeOffice) -> None:
    """[X06] DESIGN 7: the first valid terminal wins, there too; its own copies and progress move nothing."""
    worker = publisher(office)
    worker.say("started")
    worker.say("completed", detail="first", data={"pumps": 3})
    end, topic = worker.said[-1], worker.claimed.topic
    assert posts(office) == []
    assert worker.say("error").ruling == "conflicting"
    assert posts(office) == [(topic, end, 1)]
    assert heard(office, topic, worker.said[-1]).ruling == "duplicate"
    assert posts(office) == [(topic, end, 1)]
    for payload in (end, worker.said[0], worker.signed("progress"), b"{}"):
        heard(office, topic, payload)
    assert posts(office) == []


def test_a_job_that_runs_has_no_end_retained(office: FakeOffice) -> None:
    """[X06] The end that a fenced claimant says of a job on which another one works is cleared; the true one stands."""
    first = publisher(office)
    second = Publisher(office, claim(office, job=first.job))
    topic = first.claimed.topic
    assert first.say("completed").reason == "fenced"
    assert posts(office) == [(topic, b"", 1)]
    second.say("completed")
    cleared(office, topic)  # the clearing overtook the end
    assert posts(office) == [(topic, second.said[-1], 1)]


def test_what_somebody_cleared_or_forged_is_said_again(office: FakeOffice) -> None:
    """[X06] Ours: whoever may publish may also clear; a clearing where nothing is to stand posts nothing."""
    worker, running = publisher(office), publisher(office)
    worker.say("completed")
    topic, end = worker.claimed.topic, worker.said[-1]
    for act in (
        lambda: cleared(office, topic),
        lambda: heard(office, topic, worker.signed("error", secret="x" * 43)),
    ):
        act()
        assert posts(office) == [(topic, end, 1)]
    for nothing in (running.claimed.topic, "queenpost/fleet/jobs/j-nothing/events", "elsewhere"):
        cleared(office, nothing)
    assert posts(office) == []


def test_the_end_outlives_its_secret_and_goes_with_its_job(office: FakeOffice) -> None:
    """[X06] Ours: what comes from an outbox that was away for days finds the end as it was said."""
    worker = publisher(office)
    worker.say("completed")
    topic, end, late = worker.claimed.topic, worker.said[-1], worker.signed("error")
    office.pass_time(2 * DAY_S)
    office.do(job_monitor.forget_secrets)
    assert heard(office, topic, late).reason == "forgotten"
    assert posts(office) == [(topic, end, 1)]
    office.do(lambda tx: job_monitor.forget_jobs(tx, kept_ms=DAY_S * 1000))
    assert posts(office) == [(topic, b"", 1)]
    cleared(office, topic)
    assert heard(office, topic, late).reason == "unknown_job"
    assert posts(office) == []


def test_a_quarrel_about_an_end_has_an_end(office: FakeOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: two that say different ends for ever, such as two copies of one home, do not do it for ever."""
    monkeypatch.setattr(job_ends, "MOST", 3)
    first = publisher(office)
    second = Publisher(office, claim(office, job=first.job))
    for _ in range(5):
        first.say("completed")
    assert len(posts(office)) == 3
    second.say("completed")
    for _ in range(5):
        first.say("completed")
    assert posts(office) == [(first.claimed.topic, second.said[-1], 1)] * 3


def test_what_is_longer_than_an_event_is_counted_without_its_content(office: FakeOffice) -> None:
    """Ours: counted by its length and digest, as if it were there."""
    topic = publisher(office).claimed.topic
    heard(office, topic, b"x" * (MAX_BYTES + 1))
    query = "SELECT topic, reason, times, bytes, sha256 FROM quarantine"
    (whole,) = [tuple(row) for row in office.rows(query)]
    office.do(lambda tx: job_events.too_long(tx, topic, MAX_BYTES + 1, whole[4]))
    (again,) = [tuple(row) for row in office.rows(query)]
    assert again == (topic, whole[1], 2, MAX_BYTES + 1, whole[4])
