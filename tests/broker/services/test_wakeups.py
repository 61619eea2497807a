"""The one due-timer, and the alarms for agents that do not wake for their mail."""

import pytest

from broker.services import wakeups
from broker.services.callers import Caller, Rules
from broker.services.wakeups import Watch
from tests.fakes.office import FakeOffice, by_token
from wire.settings import AgentSettings, Limits

OWN = by_token("alice")


def looked_at(office: FakeOffice, watch: Watch, *parked: str, after_s: float = 0) -> tuple[list[str], list[str]]:
    """Let time pass, then look at who does not wake."""
    office.clock.advance(int(after_s * 1000))
    return watch.observe(office.do(wakeups.stalled), office.clock.now_ms(), parked)


# --- the due-timer ----------------------------------------------------------------------------------


def test_nothing_is_due_in_an_idle_fleet(office: FakeOffice, bob: Caller) -> None:
    """[Z2] DESIGN 5.8: readiness is computed, not swept; mail that waits needs no timer."""
    office.send(OWN, "bob")
    assert office.last.due_ms is None
    assert bob.epoch == 1


def test_the_timer_is_at_the_earliest_of_all_instants(office: FakeOffice, bob: Caller, carol: Caller) -> None:
    """DESIGN 5.8: lease ends, ends of back-off, ends of waits; recomputed after each batch."""
    start = office.clock.now_ms()
    for name in ("bob", "carol"):
        office.send(OWN, name)
    turn = office.opened(bob)
    assert office.last.due_ms == start + 60_000
    office.close(carol, office.opened(carol).id, "crashed")
    assert office.last.due_ms == start + 1000
    waiting = office.park_open(carol, 0.5)
    assert office.last.due_ms == start + 500
    office.pass_time(0.5)
    assert waiting.get() is None
    office.pass_time(0.5)
    assert office.last.due_ms == start + 60_000
    office.close(bob, turn.id)
    assert office.last.due_ms is None


def test_doing_what_is_due_is_harmless_when_nothing_is(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: the timer may be early."""
    office.send(OWN, "bob")
    office.opened(bob)
    before = office.contents()
    office.due()
    assert office.contents() == before


def test_the_end_of_a_back_off_is_due_once(office: FakeOffice, bob: Caller) -> None:
    """[Z2] DESIGN 5.8: else a letter that nobody takes would keep the timer busy."""
    office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, "crashed")
    office.pass_time(1)
    assert office.last.due_ms is None
    assert office.effects.woken >= {"bob"}


def test_the_end_of_a_back_off_wakes_its_recipient(office: FakeOffice, bob: Caller) -> None:
    """[P02] DESIGN 5.8: a parked open returns in that commit."""
    office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, "crashed")
    waiting = office.park_open(bob)
    assert waiting.waits
    office.pass_time(1)
    assert not waiting.waits


def test_each_start_is_counted(office: FakeOffice) -> None:
    """Ours: how often this home was opened."""
    office.restart()
    office.restart()
    row = office.row("SELECT boots, created_at FROM fleet")
    assert row["boots"] == 3
    assert row["created_at"] == office.clock.now_ms()


@pytest.mark.parametrize("step_ms", [-7_776_000_000, 7_776_000_000])
def test_what_commits_while_the_clock_is_set_waits_no_longer_for_it(
    office: FakeOffice, bob: Caller, step_ms: int
) -> None:
    """DESIGN 5.7: the clock is set first and the rows after it; what comes between is moved once too often."""
    office.rules = Rules(Limits(send_burst=1))
    office.send(OWN, "bob")
    turn = office.opened(bob)
    office.clock.step_wall(step_ms)
    step = office.clock.re_anchor()
    office.send(by_token("carol"), "bob")
    office.close(bob, turn.id, "crashed")
    office.connection_ended(bob)
    office.do(lambda tx: wakeups.clock_was_set(tx, step))
    assert office.delivery("m1", "bob")["ready_at"] <= office.clock.now_ms() + wakeups.LONGEST_BACKOFF_MS
    office.clock.advance(60_000)
    assert office.send(by_token("carol"), "bob").state == "queued"
    assert office.harness("bob").epoch == 2


# --- stalled ----------------------------------------------------------------------------------------


def test_an_idle_harness_with_mail_and_no_parked_open_is_woken_after_5_s(office: FakeOffice, bob: Caller) -> None:
    """[H21] [P02] DESIGN 5.11: and again after another 5 s, until it moves."""
    watch = Watch()
    office.send(OWN, "bob")
    assert looked_at(office, watch) == ([], [])
    assert looked_at(office, watch, after_s=4.999) == ([], [])
    assert looked_at(office, watch, after_s=0.001) == (["bob"], [])
    assert looked_at(office, watch, after_s=4.999) == ([], [])
    assert looked_at(office, watch, after_s=0.001) == (["bob"], [])
    office.opened(bob)
    assert looked_at(office, watch, after_s=60) == ([], [])


def test_who_waits_as_it_should_is_not_stalled(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.11: a parked open, or a harness that rests at a limit."""
    watch = Watch()
    office.send(OWN, "bob")
    for _ in range(3):
        assert looked_at(office, watch, "bob", after_s=60) == ([], [])
    assert looked_at(office, watch) == ([], [])
    assert bob.epoch == 1


def test_a_paused_agent_raises_no_alarm(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.18: mail collects, no alarm."""
    watch = Watch()
    office.send(OWN, "bob")
    office.pause("bob")
    assert looked_at(office, watch) == looked_at(office, watch, after_s=600) == ([], [])
    assert bob.epoch == 1


def test_mail_that_backs_off_stalls_nobody(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.11: eligible mail for 5 s."""
    watch = Watch()
    office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, "crashed")
    assert looked_at(office, watch) == ([], [])
    assert office.do(wakeups.stalled) == []


def test_an_attended_session_is_not_woken(office: FakeOffice) -> None:
    """DESIGN 5.11: there is no loop to restart; a person reads when they want."""
    watch = Watch()
    office.session("bob")
    office.send(OWN, "bob")
    assert looked_at(office, watch) == looked_at(office, watch, after_s=600) == ([], [])


# --- deaf -------------------------------------------------------------------------------------------


def hosted(office: FakeOffice, name: str) -> None:
    """Add an agent that a harness is meant to host."""
    office.add(name, AgentSettings(backend="command", command=["true"]))


def test_an_agent_without_its_harness_is_deaf_after_a_minute_with_mail(office: FakeOffice) -> None:
    """[H21] DESIGN 5.11: told once, until somebody works for it again."""
    watch = Watch()
    hosted(office, "dora")
    office.send(OWN, "dora")
    assert looked_at(office, watch) == ([], [])
    assert looked_at(office, watch, after_s=59.999) == ([], [])
    assert not watch.is_deaf("dora")
    assert looked_at(office, watch, after_s=0.001) == ([], ["dora"])
    assert watch.is_deaf("dora")
    assert looked_at(office, watch, after_s=600) == ([], [])
    dora = office.harness("dora")
    assert looked_at(office, watch) == ([], [])
    assert not watch.is_deaf("dora")
    office.connection_ended(dora)
    looked_at(office, watch)
    assert looked_at(office, watch, after_s=60) == ([], ["dora"])


def test_an_agent_without_a_backend_is_away_and_never_deaf(office: FakeOffice) -> None:
    """DESIGN 5.11: agents without harness show `away`."""
    watch = Watch()
    office.send(OWN, "bob")
    assert looked_at(office, watch) == looked_at(office, watch, after_s=3600) == ([], [])


def test_an_agent_without_mail_is_not_deaf(office: FakeOffice) -> None:
    """DESIGN 5.11: unattached for 60 s *with mail*."""
    watch = Watch()
    hosted(office, "dora")
    assert looked_at(office, watch) == looked_at(office, watch, after_s=3600) == ([], [])


def test_after_a_suspend_every_alarm_has_a_fresh_period(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: nobody could wake while the machine slept."""
    watch = Watch()
    hosted(office, "dora")
    for name in ("dora", "bob"):
        office.send(OWN, name)
    looked_at(office, watch)
    office.clock.advance(3600_000, suspended=True)
    watch.restart()
    assert looked_at(office, watch) == ([], [])
    assert looked_at(office, watch, after_s=5) == (["bob"], [])
    assert looked_at(office, watch, after_s=55) == (["bob"], ["dora"])
    assert bob.epoch == 1


def test_a_clock_that_was_set_back_delays_an_alarm_by_one_period_at_most(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7, 5.11: a jump over months must not silence the alarms for months."""
    watch = Watch()
    office.send(OWN, "bob")
    looked_at(office, watch)
    office.clock.step_wall(-90 * 24 * 3600_000)
    office.clock.re_anchor()
    assert looked_at(office, watch) == ([], [])
    assert looked_at(office, watch, after_s=5) == (["bob"], [])
    assert bob.epoch == 1
