"""The freshness of a job: what was said too long ago, or lies ahead, is refused for good, and an end never."""

from typing import Any

import pytest

from broker.services.job_events import Judgement
from broker.services.replay import WIDTH
from tests.broker.services.test_job_events import events, refused
from tests.broker.services.test_jobs import job
from tests.fakes.jobs import Publisher, claim, fates, heard, publisher
from tests.fakes.office import FakeOffice
from wire.events import EventName, stamp

FRESH_S = 60
OFF_MS = FRESH_S * 1000 + 1


def say(worker: Publisher, event: EventName, off_ms: int = 0, **fields: Any) -> Judgement:
    """Say an event by a clock that is off by so much from the broker's, which hears it at once."""
    return worker.say(event, timestamp=stamp(worker.office.clock.now_ms() + off_ms), **fields)


@pytest.mark.parametrize("event", ["started", "progress", "permission_required"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_what_is_off_by_more_than_the_freshness_is_refused(office: FakeOffice, event: EventName, sign: int) -> None:
    """[X18] Before and after the broker's clock, to the millisecond; refused, counted, and without an effect."""
    worker = publisher(office, freshness_s=FRESH_S, timeout_s=600)
    before = job(office, worker.job)
    office.clock.advance(1000)
    assert say(worker, event, sign * OFF_MS) == Judgement("refused", "not_fresh")
    assert job(office, worker.job) == before  # not heard of: the time-out runs on
    assert (events(office), office.rows("SELECT id FROM asks"), refused(office)) == ([], [], {"not_fresh": 1})
    assert say(worker, event, sign * (OFF_MS - 1)).ruling == "accepted"
    assert job(office, worker.job).freshness_s == FRESH_S


@pytest.mark.parametrize("event", ["completed", "error"])
@pytest.mark.parametrize("off_ms", [-90 * 86_400_000, 90 * 86_400_000])
def test_an_end_is_always_fresh(office: FakeOffice, event: EventName, off_ms: int) -> None:
    """[X18] Reliability 4.2: it may have waited out an outage, and is retained."""
    worker = publisher(office, freshness_s=FRESH_S)
    assert say(worker, event, off_ms).ruling == "accepted"
    assert job(office, worker.job).state == event


def test_without_a_freshness_any_time_is_taken(office: FakeOffice) -> None:
    """[X18] It is optional; also a day that no calendar has is only words then."""
    worker = publisher(office)
    for timestamp in ("0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-02-30T00:00:00.000Z"):
        assert worker.say("progress", timestamp=timestamp).ruling == "accepted"
    assert job(office, worker.job).freshness_s is None


def test_a_day_that_no_calendar_has_is_never_fresh(office: FakeOffice) -> None:
    """[X18] Whatever the freshness is."""
    worker = publisher(office, freshness_s=30 * 86_400)
    assert worker.say("progress", timestamp="2026-02-30T00:00:00.000Z").reason == "not_fresh"


def test_a_copy_of_what_is_recorded_is_a_duplicate_however_old(office: FakeOffice) -> None:
    """[X18] What MQTT sends again late is no refusal: it was fresh when it came."""
    worker = publisher(office, freshness_s=FRESH_S)
    say(worker, "started")
    office.clock.advance(OFF_MS)
    assert heard(office, worker.claimed.topic, worker.said[0]).ruling == "duplicate"
    assert refused(office) == {}


def test_what_is_not_fresh_takes_no_number(office: FakeOffice) -> None:
    """[X18] Not even where only growing ones are taken: a wrong clock far ahead leaves room for all before it."""
    worker = publisher(office, freshness_s=FRESH_S, replay="strict")
    assert {say(worker, "progress", OFF_MS, seq=seq).reason for seq in (5000, 4999)} == {"not_fresh"}
    assert fates(office, (worker.job, 1, 5000), (worker.job, 1, 4999)) == ["fenced", "fenced"]
    assert [say(worker, "progress", seq=seq).ruling for seq in (1, 2)] == ["accepted", "accepted"]
    assert say(worker, "completed", OFF_MS, seq=5000).ruling == "accepted"


def test_a_publisher_learns_that_it_is_refused_for_good(office: FakeOffice) -> None:
    """[X18] `fenced`: it sends it no more; what lay ahead is not taken when its time has come, nor after a restart."""
    worker = publisher(office, freshness_s=FRESH_S)
    marks = [(worker.job, 1, seq) for seq in (1, 2, 3)]
    say(worker, "progress", OFF_MS)
    assert fates(office, *marks) == ["fenced", "unknown", "unknown"]
    office.clock.advance(OFF_MS)
    office.restart()
    assert heard(office, worker.claimed.topic, worker.said[0]).reason == "not_fresh"
    assert say(worker, "progress").ruling == "accepted"
    assert fates(office, *marks) == ["fenced", "recorded", "unknown"]
    assert refused(office) == {"not_fresh": 2}


def test_what_is_remembered_of_refusals_is_bounded(office: FakeOffice) -> None:
    """[X18] A row does not grow with what a wrong clock says; behind the window of refusals each is judged anew."""
    worker = publisher(office, freshness_s=FRESH_S)
    for seq in (1, 2**53 - 1, 2, 2**53 - 2):
        assert say(worker, "progress", -OFF_MS, seq=seq).reason == "not_fresh"
    (row,) = office.rows("SELECT length(stale) AS bytes, highest FROM jobs")
    assert (row["bytes"] <= WIDTH // 8, row["highest"]) == (True, 0)
    assert fates(office, *((worker.job, 1, seq) for seq in (1, 2**53 - 1, 2**53 - 2, 2**53 - 3))) == [
        "unknown", "fenced", "fenced", "unknown",
    ]  # fmt: skip


def test_a_new_claim_begins_without_refusals(office: FakeOffice) -> None:
    """[X18] DESIGN 7: each claim has its own numbers."""
    first = publisher(office, freshness_s=FRESH_S)
    say(first, "started", -OFF_MS)
    second = Publisher(office, claim(office, job=first.job))
    assert fates(office, (first.job, 1, 1), (first.job, 2, 1)) == ["fenced", "unknown"]
    assert say(second, "started").ruling == "accepted"


def test_only_what_is_signed_is_remembered_as_refused(office: FakeOffice) -> None:
    """[X21] Freshness is looked at last: what nobody signed, and what is a replay, moves nothing."""
    worker = publisher(office, freshness_s=FRESH_S)
    assert say(worker, "progress", -OFF_MS, seq=7, secret="x" * 43).reason == "signature"
    say(worker, "progress", seq=WIDTH + 1)
    assert say(worker, "progress", -OFF_MS, seq=1).reason == "replayed"
    (row,) = office.rows("SELECT stale_highest, stale FROM jobs")
    assert tuple(row) == (0, b"")


def test_behind_the_end_only_what_is_fresh_is_recorded_as_late(office: FakeOffice) -> None:
    """[X18] DESIGN 7: a late one is recorded, and has to be fresh as any other."""
    worker = publisher(office, freshness_s=FRESH_S)
    say(worker, "completed")
    assert say(worker, "progress", -OFF_MS).reason == "not_fresh"
    assert say(worker, "progress").ruling == "late"
