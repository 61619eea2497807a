"""Leases that run out, links that are lost, brokers that restart: who gets a turn back, and until when."""

import pytest

from broker.services import retention, wakeups
from broker.services.callers import Caller
from tests.broker.services.refusals import refused
from tests.fakes.office import FakeOffice, by_token
from wire.errors import Closed, Stale
from wire.settings import RetentionSettings
from wire.turns import Turn

OWN = by_token("alice")
DAY_S = 24 * 3600


@pytest.fixture
def turn(office: FakeOffice, bob: Caller) -> Turn:
    """An open turn of bob with two letters, one more waiting behind."""
    for _ in range(2):
        office.send(OWN, "bob")
    opened = office.opened(bob)
    office.send(by_token("carol"), "bob")
    return opened


def turn_state(office: FakeOffice, turn: str = "t1") -> str:
    """Give the stored state of a turn."""
    return office.row("SELECT state FROM turns WHERE id = :id", id=int(turn[1:]))["state"]


# --- the lease runs out -----------------------------------------------------------------------------


def test_a_lease_runs_out_after_60_s_and_not_before(office: FakeOffice, turn: Turn) -> None:
    """[H21] DESIGN 5.6: the mail is ready again at its old place; the death is counted apart."""
    office.pass_time(59.999)
    assert turn_state(office) == "open"
    office.pass_time(0.001)
    assert turn_state(office, turn.id) == "lapsed"
    row = office.delivery("m1", "bob")
    assert (row["state"], row["place"], row["attempt"]) == ("ready", 1, 1)
    assert (row["restarts"], row["failures"], row["ready_at"]) == (1, 0, 0)


def test_mail_of_a_lapsed_turn_goes_to_the_next_one(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """[H21] DESIGN 5.6: with its attempt counted; the lapsed turn is over for good."""
    office.pass_time(60)
    second = office.opened(bob)
    assert [(mail.id, mail.attempt) for mail in second.mail] == [("m1", 2), ("m2", 2), ("m3", 1)]
    row = office.row("SELECT state, outcome FROM turns WHERE id = 1")
    assert tuple(row) == ("closed", "lapsed")
    assert turn.id == "t1"


def test_the_lapse_of_a_turn_wakes_a_parked_open(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """[P02] DESIGN 5.8: in the commit in which the lease ran out, without a sweep."""
    office.clock.advance(60_000)
    waiting = office.open.call(bob).parked("bob", 180)
    office.submit(waiting.submission)
    again = waiting.get()
    assert again is not None
    assert again.turn is not None
    assert again.turn.id == turn.id, "the open turn again: nobody has noticed yet"
    office.pass_time(60)
    waiting = office.park_open(bob)
    assert not waiting.waits


def test_each_turn_lapses_at_its_own_time(office: FakeOffice, alice: Caller, bob: Caller, turn: Turn) -> None:
    """DESIGN 5.8: one due-timer, at the earliest lease end."""
    assert office.last.due_ms == office.clock.now_ms() + 60_000
    office.clock.advance(10_000)
    office.send(by_token("carol"), "alice")
    other = office.opened(alice)
    office.renew(bob, turn.id)
    office.clock.advance(20_000)
    office.renew(bob, turn.id)
    assert office.last.due_ms == office.clock.now_ms() + 40_000
    office.pass_time(40)
    assert (turn_state(office, turn.id), turn_state(office, other.id)) == ("open", "lapsed")


def test_a_hundred_and_more_turns_can_lapse_at_once(office: FakeOffice) -> None:
    """DESIGN 6: at most 100 in one transaction; the due time stays in the past until all are done."""
    names = [f"agent-{number}" for number in range(120)]
    for name in names:
        office.add(name)
        office.send(OWN, name)
        office.opened(office.harness(name))
    office.clock.advance(60_000)
    office.due()
    due_ms = office.last.due_ms
    assert due_ms is not None
    assert due_ms <= office.clock.now_ms()
    office.due()
    assert office.last.due_ms is None
    assert office.row("SELECT count(*) AS n FROM turns WHERE state = 'lapsed'")["n"] == 120


# --- resume -----------------------------------------------------------------------------------------


def test_an_open_turn_is_resumed_with_its_mail(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """DESIGN 5.7: after a lost link; idempotent, with a fresh lease."""
    office.clock.advance(30_000)
    again = office.resume(bob, turn.id).turn
    assert again is not None
    assert (again.id, again.mail, again.waiting) == (turn.id, turn.mail, 1)
    assert office.row("SELECT lease_until FROM turns")["lease_until"] == office.clock.now_ms() + 60_000


def test_a_lapsed_turn_is_resumed_while_nobody_has_leased_its_mail(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """[P14] DESIGN 5.7: adoption of the live run: attempt unchanged, the death did not happen."""
    office.pass_time(3600)
    again = office.resume(bob, turn.id).turn
    assert again is not None
    assert (again.id, again.mail) == (turn.id, turn.mail)
    row = office.delivery("m1", "bob")
    assert (row["state"], row["attempt"], row["restarts"]) == ("leased", 1, 0)
    assert office.close(bob, turn.id).acked == ["m1", "m2"]


def test_a_lapsed_turn_is_not_resumed_after_its_mail_was_leased_again(
    office: FakeOffice, bob: Caller, turn: Turn
) -> None:
    """[P14] DESIGN 5.7: too late, also when the later turn has given the mail back."""
    office.pass_time(60)
    second = office.opened(bob)
    refused(office, Stale, lambda: office.resume(bob, turn.id))
    office.close(bob, second.id, "interrupted")
    refused(office, Stale, lambda: office.resume(bob, turn.id))
    refused(office, Stale, lambda: office.close(bob, turn.id))


def test_a_lapsed_turn_is_not_resumed_once_some_of_its_mail_went_elsewhere(office: FakeOffice) -> None:
    """[P14] DESIGN 5.7: as long as none of the deliveries was leased again."""
    for _ in range(3):
        office.send(OWN, "bob")
    session = office.session("bob")
    turn = office.taken(session, maximum=2).turn
    assert turn is not None
    office.pass_time(60)
    second = office.taken(session)
    assert [mail.id for mail in second.mail] == ["m1"]
    office.close(session, second.turn or "")
    refused(office, Stale, lambda: office.resume(session, turn))
    refused(office, Stale, lambda: office.close(session, turn))
    assert office.states("bob") == {"m1": "acked", "m2": "ready", "m3": "ready"}


def test_a_lapsed_turn_is_not_resumed_beside_an_open_one(office: FakeOffice) -> None:
    """[P14] DESIGN 5.7: at most one open turn for an agent."""
    office.send(OWN, "bob")
    session = office.session("bob")
    turn = office.taken(session).turn
    assert turn is not None
    office.pass_time(60)
    office.damage("UPDATE deliveries SET ready_at = :later", later=office.clock.now_ms() + 1000)
    office.send(by_token("carol"), "bob")
    assert [mail.id for mail in office.taken(session).mail] == ["m2"]
    refused(office, Stale, lambda: office.resume(session, turn))


def test_closing_a_lapsed_turn_as_completed_counts_while_nobody_has_leased_its_mail(
    office: FakeOffice, bob: Caller, turn: Turn
) -> None:
    """[P14] DESIGN 5.7: the run was alive and finished; no second run is needed."""
    office.pass_time(3600)
    assert office.close(bob, turn.id).acked == ["m1", "m2"]
    assert office.states("bob") == {"m1": "acked", "m2": "acked", "m3": "ready"}


def test_a_turn_that_lapsed_takes_and_renews_nothing(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """DESIGN 5.7: it has to be resumed first."""
    office.pass_time(60)
    refused(office, Stale, lambda: office.renew(bob, turn.id))
    refused(office, Closed, lambda: office.take(bob, turn.id))
    before = office.contents()
    assert office.give_back(bob, turn.id, "m1").ids == []
    assert office.contents() == before


def test_a_turn_that_was_resumed_lapses_again(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """DESIGN 5.7: each death counts once."""
    for _ in range(3):
        office.pass_time(60)
        office.resume(bob, turn.id)
    office.pass_time(60)
    assert office.delivery("m1", "bob")["restarts"] == 1


def test_a_lapsed_turn_is_not_resumed_after_some_of_its_mail_was_recalled_and_forgotten(
    office: FakeOffice, bob: Caller, turn: Turn
) -> None:
    """DESIGN 5.7, 5.19: what retention deleted cannot be taken back; the turn would count mail that is gone."""
    office.pass_time(61)
    office.recall(OWN, turn.mail[0].id)
    office.clock.advance(31 * DAY_S * 1000)
    settings = RetentionSettings()
    office.do(lambda tx: retention.forget_mail(tx, settings))
    with pytest.raises(Stale):
        office.resume(bob, turn.id)
    with pytest.raises(Stale):
        office.close(bob, turn.id)
    assert office.states("bob") == {"m2": "ready", "m3": "ready"}


def test_what_was_given_back_before_the_lapse_is_not_resumed(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """DESIGN 5.3, 5.7: it left the turn for good."""
    office.give_back(bob, turn.id, "m1")
    office.pass_time(60)
    again = office.resume(bob, turn.id).turn
    assert again is not None
    assert [mail.id for mail in again.mail] == ["m2"]
    assert office.state("m1", "bob") == "ready"


def test_another_instance_resumes_nothing(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """[P14] DESIGN 5.7: the turn is of its epoch."""
    office.pass_time(60)
    successor = office.harness("bob", takeover=True)
    refused(office, Stale, lambda: office.resume(successor, turn.id))
    refused(office, Stale, lambda: office.resume(bob, turn.id))


def test_a_turn_that_ended_is_not_resumed(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """DESIGN 5.7: `stale`, whatever its outcome was."""
    office.close(bob, turn.id)
    refused(office, Stale, lambda: office.resume(bob, turn.id))


# --- the broker restarts ----------------------------------------------------------------------------


def test_a_broker_restart_gives_every_open_turn_60_s_more(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """[H01] DESIGN 5.7: whatever was left of its lease, or how long the broker was down."""
    office.clock.advance(DAY_S * 1000)
    office.restart()
    office.pass_time(59.999)
    assert turn_state(office, turn.id) == "open"
    assert bob.instance is not None
    assert office.harness("bob", bob.instance) == bob
    assert office.resume(bob, turn.id).turn is not None
    office.pass_time(59.999)
    assert office.close(bob, turn.id).acked == ["m1", "m2"]


def test_a_turn_that_nobody_resumes_after_a_restart_lapses(office: FakeOffice, turn: Turn) -> None:
    """[H21] DESIGN 5.7: no lease of an earlier boot is honoured for longer."""
    office.restart()
    office.pass_time(60)
    assert turn_state(office, turn.id) == "lapsed"
    assert office.state("m1", "bob") == "ready"


def test_after_a_restart_every_holder_has_a_minute_to_come_back(office: FakeOffice, bob: Caller, turn: Turn) -> None:
    """DESIGN 5.7: its connection ended with the broker."""
    office.restart()
    assert office.row("SELECT lost_at FROM agents WHERE name = 'bob'")["lost_at"] == office.clock.now_ms()
    office.pass_time(60)
    successor = office.harness("bob")
    assert successor.epoch == 2
    refused(office, Stale, lambda: office.resume(bob, turn.id))


def test_a_restart_loses_no_mail(office: FakeOffice, turn: Turn) -> None:
    """[H01] [Z1] DESIGN 5.1: whatever its state."""
    before = office.states("bob")
    for _ in range(3):
        office.restart()
    assert office.states("bob") == before == {"m1": "leased", "m2": "leased", "m3": "ready"}
    assert turn.id == "t1"


def test_back_off_survives_a_restart(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: and is over at the same time."""
    office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, "crashed")
    office.clock.advance(400)
    office.restart()
    assert office.last.due_ms == office.clock.now_ms() + 600


def test_a_clock_that_was_set_back_while_the_broker_was_down_makes_no_long_back_off(
    office: FakeOffice, bob: Caller
) -> None:
    """DESIGN 5.5: at most 10 min, whatever the clock did."""
    office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, "crashed")
    office.clock.step_wall(-90 * DAY_S * 1000)
    office.clock.re_anchor()
    office.restart()
    assert office.delivery("m1", "bob")["ready_at"] == office.clock.now_ms() + wakeups.LONGEST_BACKOFF_MS


# --- suspends and clocks that are set ---------------------------------------------------------------


def test_after_a_suspend_every_lease_has_a_fresh_period(office: FakeOffice, turn: Turn) -> None:
    """DESIGN 5.7: nobody could renew while the machine slept."""
    office.clock.advance(DAY_S * 1000, suspended=True)
    office.do(wakeups.rearm)
    office.pass_time(59.999)
    assert turn_state(office, turn.id) == "open"
    office.pass_time(0.001)
    assert turn_state(office, turn.id) == "lapsed"


@pytest.mark.parametrize("step_s", [-90 * DAY_S, -1, 1, 90 * DAY_S])
def test_a_clock_that_is_set_moves_neither_leases_nor_back_off(
    office: FakeOffice, bob: Caller, turn: Turn, step_s: int
) -> None:
    """DESIGN 5.7: leases start anew, back-off keeps its length."""
    office.close(bob, turn.id, "crashed")
    second = office.opened(bob)
    office.clock.advance(400)
    office.set_clock(step_s * 1000)
    assert office.delivery("m1", "bob")["ready_at"] == office.clock.now_ms() + 600
    office.pass_time(59.999)
    assert turn_state(office, second.id) == "open"
    office.pass_time(0.001)
    assert turn_state(office, second.id) == "lapsed"
