"""What is counted as refused of jobs, and what is not."""

import pytest

from broker.services import job_events, job_monitor
from tests.fakes.jobs import fates, heard, publisher
from tests.fakes.office import FakeOffice
from wire.jobs import Mark

DAY_S = 24 * 3600


def refused(office: FakeOffice) -> dict[tuple[str, str], int]:
    """Give how often what was refused, by topic and reason."""
    rows = office.rows("SELECT topic, reason, times FROM quarantine")
    return {(row["topic"], row["reason"]): row["times"] for row in rows}


def test_what_is_retained_of_an_old_job_is_a_copy_and_no_stranger(office: FakeOffice) -> None:
    """[X06] Ours: it comes again with each subscription for as long as the job is kept; its secret is gone by then."""
    worker = publisher(office)
    worker.say("completed")
    office.pass_time(2 * DAY_S)
    office.do(job_monitor.forget_secrets)
    end = worker.said[-1]
    assert heard(office, worker.claimed.topic, end).ruling == "duplicate"
    assert refused(office) == {}
    other = worker.signed("error", seq=1)
    for payload in (other, worker.signed("progress", seq=2)):
        assert heard(office, worker.claimed.topic, payload).reason in ("forgotten", "equivocation")
    assert refused(office) == {(worker.claimed.topic, "forgotten"): 2}


def test_strangers_do_not_hide_what_is_refused_of_a_job(office: FakeOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: the table is bounded; what it counts already it goes on counting."""
    monkeypatch.setattr(job_events, "MAX_QUARANTINE", 3)
    topic = publisher(office).claimed.topic
    heard(office, topic, b"{}")
    for number in range(5):
        heard(office, f"elsewhere/{number}", b"{}")
    for _ in range(2):
        heard(office, topic, b"{}")
    assert refused(office) == {
        (topic, "schema_version"): 3,
        ("elsewhere/0", "topic"): 1,
        ("elsewhere/1", "topic"): 1,
        ("", "topic"): 3,
    }


def test_a_number_that_no_event_can_have_is_refused_before_it_is_looked_for(office: FakeOffice) -> None:
    """Ours: the store holds 64 bits; what is larger is the asker's mistake, and no failure of the broker."""
    job = publisher(office).job
    assert fates(office, (job, 1, 2**53 - 1)) == ["unknown"]
    with pytest.raises(ValueError, match="seq"):
        Mark(job=job, epoch=1, seq=2**53)
