"""The monitor while events cannot be heard: it says nothing that it cannot know."""

from broker.services import job_monitor, wakeups
from broker.services.job_monitor import GRACE_MS, HEARING_MS
from tests.broker.services.test_job_monitor import told
from tests.broker.services.test_jobs import job
from tests.fakes.jobs import Publisher, claim, publisher, register
from tests.fakes.office import FakeOffice


def left_open(office: FakeOffice) -> Publisher:
    """Claim a job in a turn that ends without saying the end of it."""
    bob = office.harness("bob")
    name = register(office, to="bob").job
    opened = office.open(bob)
    assert opened is not None
    assert opened.turn is not None
    claimed = claim(office, bob, name, turn=opened.turn.id)
    office.close(bob, opened.turn.id)
    return Publisher(office, claimed)


def looks(office: FakeOffice, heard_for_ms: int) -> None:
    """Let the monitor look."""
    office.do(lambda tx: job_monitor.reconcile(tx, heard_for_ms))


def test_a_job_whose_end_may_wait_in_an_outbox_is_not_reported(office: FakeOffice) -> None:
    """DESIGN 7: the MQTT broker was away for half an hour; the end that waited meanwhile closes the session."""
    worker = left_open(office)
    office.pass_time(1800)
    looks(office, 0)
    looks(office, GRACE_MS - 1)
    assert told(office) == []
    worker.say("completed")
    looks(office, GRACE_MS)
    assert told(office) == []
    assert [row["state"] for row in office.rows("SELECT state FROM sessions")] == ["stopped"]


def test_it_is_reported_once_all_has_been_heard_for_a_while(office: FakeOffice) -> None:
    """[X09] The grace begins when the bridge hears again."""
    worker = left_open(office)
    office.pass_time(1800)
    looks(office, 0)
    looks(office, GRACE_MS)
    (text,) = told(office)
    assert f"job {worker.job} is still open" in text


def rings(office: FakeOffice, heard_for_ms: int) -> None:
    """Do what is due."""
    office.do(lambda tx: wakeups.run_due(tx, heard_for_ms))


def test_nobody_is_called_silent_while_nothing_is_heard(office: FakeOffice) -> None:
    """DESIGN 7: neither meanwhile nor before what waited could come; then it is told, once."""
    worker, silent = publisher(office, timeout_s=60), publisher(office, timeout_s=60)
    office.clock.advance(3_600_000)
    rings(office, 0)
    assert office.do(wakeups.next_due) == office.clock.now_ms() + HEARING_MS  # and not at once, again and again
    office.clock.advance(HEARING_MS)
    rings(office, HEARING_MS - 1000)
    assert told(office) == []
    assert office.do(wakeups.next_due) == office.clock.now_ms() + 1000
    worker.say("progress")
    office.clock.advance(1000)
    rings(office, HEARING_MS)
    (text,) = told(office)
    assert f"job {silent.job} is silent for 3616 s" in text
    assert not job(office, worker.job).overdue


def test_a_short_time_out_waits_no_longer_than_it_is(office: FakeOffice) -> None:
    """Ours: a job of two seconds is told of once all was heard for two seconds."""
    worker = publisher(office, timeout_s=2)
    office.clock.advance(2000)
    rings(office, 1500)
    assert told(office) == []
    office.clock.advance(500)
    rings(office, 2000)
    assert job(office, worker.job).overdue
