"""What is looked at before what: a flaw that is closed keeps nothing open that stands behind it."""

from dataclasses import replace

from tests.broker.services.test_jobs import job
from tests.fakes.jobs import NOW, claim, heard, publisher
from tests.fakes.office import FakeOffice
from wire.events import Event, sign


def test_each_check_rests_on_those_before_it(office: FakeOffice) -> None:
    """[X21] Secret, then signature, then window: what nobody signed moves no window and begins no wait anew."""
    worker = publisher(office, timeout_s=60)
    office.clock.advance(30_000)
    assert worker.claimed.job is not None
    event = Event(worker.claimed.fleet, worker.job, worker.claimed.kid, 1, 5000, "progress", NOW)
    forged = sign(event, worker.claimed.topic, "x" * 43)
    for payload in (forged, forged[:-1], b"{}"):
        assert heard(office, worker.claimed.topic, payload).ruling == "refused"
    window = office.rows("SELECT highest, seen, heard_at, due_at FROM jobs")[0]
    now_ms = office.clock.now_ms()
    assert tuple(window) == (0, b"", now_ms - 30_000, now_ms + 30_000)
    assert worker.say("started").ruling == "accepted"  # number 1: a window at 5,000 would have left it behind
    assert heard(office, worker.claimed.topic, worker.said[-1]).ruling == "duplicate"
    claim(office, job=worker.job)
    assert worker.say("completed").reason == "fenced"
    again = sign(replace(event, epoch=2, seq=1, event="completed"), worker.claimed.topic, worker.claimed.secret)
    assert heard(office, worker.claimed.topic, again).ruling == "accepted"
    assert job(office, worker.job).state == "completed"
