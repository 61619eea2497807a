"""How fast one agent may send: a bucket that fills with time, whatever the wall clock does."""

import pytest

from broker.services.callers import Rules
from tests.broker.services.refusals import refused
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Denied, Limited, Unknown
from wire.settings import AgentSettings, Limits

OWN = by_token("alice")
DAY_MS = 24 * 3600 * 1000


@pytest.fixture(autouse=True)
def slow(office: FakeOffice) -> None:
    """Three at once, then one in ten seconds."""
    office.rules = Rules(Limits(send_burst=3, send_per_minute=6))


def spend(office: FakeOffice, sends: int = 3) -> None:
    """Send so many."""
    for _ in range(sends):
        office.send(OWN, "bob")


def test_a_burst_is_followed_by_a_wait_that_is_named(office: FakeOffice) -> None:
    """[P05] DESIGN 5.14: `limited` says when to try again; one millisecond before is too early."""
    spend(office)
    error = refused(office, Limited, lambda: office.send(OWN, "bob"))
    wait_ms = error.details["retry_after_ms"]
    assert wait_ms == pytest.approx(10_000, abs=1)
    office.clock.advance(wait_ms - 2)
    refused(office, Limited, lambda: office.send(OWN, "bob"))
    office.clock.advance(2)
    assert office.send(OWN, "bob").state == "queued"


def test_a_bucket_never_holds_more_than_a_burst(office: FakeOffice) -> None:
    """DESIGN 5.14: a week of silence is no right to a flood."""
    spend(office)
    office.clock.advance(7 * DAY_MS)
    spend(office)
    refused(office, Limited, lambda: office.send(OWN, "bob"))


def test_a_refused_send_costs_nothing(office: FakeOffice) -> None:
    """DESIGN 5.14: only what was accepted counts."""
    office.add("dora", AgentSettings(allowed_recipients=[]))
    for _ in range(5):
        refused(office, Unknown, lambda: office.send(OWN, "nobody"))
        refused(office, Denied, lambda: office.send(by_token("dora"), "bob"))
    spend(office)
    for _ in range(3):
        office.send(by_token("dora"), "operator")


def test_each_agent_has_a_bucket_of_its_own(office: FakeOffice) -> None:
    """DESIGN 5.14: a bucket per sender."""
    spend(office)
    assert office.send(by_token("bob"), "alice").state == "queued"


def test_the_operator_has_no_bucket(office: FakeOffice) -> None:
    """DESIGN 5.14: operator mail uses reserved headroom."""
    for _ in range(20):
        office.send(OPERATOR_CALLER, "bob")


def test_a_bucket_survives_a_restart(office: FakeOffice) -> None:
    """DESIGN 5.14: restarting the broker is no way around it."""
    spend(office)
    office.restart()
    refused(office, Limited, lambda: office.send(OWN, "bob"))


@pytest.mark.parametrize("step_ms", [-90 * DAY_MS, -3600_000, 3600_000])
def test_a_clock_that_is_set_locks_no_sender_out(office: FakeOffice, step_ms: int) -> None:
    """DESIGN 5.7: the wait is as long as it was said to be, wherever the wall clock goes."""
    spend(office)
    office.set_clock(step_ms)
    error = refused(office, Limited, lambda: office.send(OWN, "bob"))
    assert error.details["retry_after_ms"] == pytest.approx(10_000, abs=1)
    office.clock.advance(10_001)
    assert office.send(OWN, "bob").state == "queued"


def test_a_clock_that_was_set_back_while_the_broker_was_down_locks_no_sender_out(office: FakeOffice) -> None:
    """DESIGN 5.7: a start takes the clock as it finds it."""
    spend(office)
    office.clock.step_wall(-90 * DAY_MS)
    office.clock.re_anchor()
    office.restart()
    office.clock.advance(10_001)
    assert office.send(OWN, "bob").state == "queued"


def test_an_agent_that_comes_back_has_a_full_bucket(office: FakeOffice) -> None:
    """Ours: a removed agent that is added again starts anew."""
    spend(office)
    office.remove("alice")
    office.add("alice")
    spend(office)
