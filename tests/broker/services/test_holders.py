"""Who works for an agent: one instance at a time, each with an epoch of its own."""

import pytest

from broker.services.callers import Caller
from broker.services.holders import HOLDER_LIVES_MS
from tests.broker.services.refusals import refused
from tests.fakes.office import HARNESS_CALLER, OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Conflict, Denied, Stale, Unknown
from wire.settings import AgentSettings, Settings

OWN = by_token("alice")
DAY_MS = 24 * 3600 * 1000


def test_the_first_instance_gets_epoch_1(office: FakeOffice) -> None:
    """DESIGN 5.7: with role, settings and whether it is paused."""
    office.add("dora", AgentSettings(batch_max=3))
    office.pause("dora")
    reply = office.attach(HARNESS_CALLER, "dora", "instance-1")
    assert (reply.agent, reply.epoch, reply.role, reply.attended) == ("dora", 1, "agent", False)
    assert (reply.open_turn, reply.paused, reply.settings.batch_max) == (None, True, 3)


def test_the_same_instance_keeps_epoch_and_turns(office: FakeOffice) -> None:
    """DESIGN 5.7: the epoch belongs to an instance, not to a connection."""
    bob = office.harness("bob")
    office.send(OWN, "bob")
    turn = office.opened(bob)
    office.connection_ended(bob)
    office.clock.advance(50_000)
    assert bob.instance is not None
    reply = office.attach(HARNESS_CALLER, "bob", bob.instance)
    assert (reply.epoch, reply.open_turn) == (1, turn.id)
    assert office.close(bob, turn.id).acked == ["m1"]


@pytest.mark.parametrize("name", ["nobody", "operator", "manager", "*"])
def test_an_agent_that_is_not_there_cannot_be_attached(office: FakeOffice, name: str) -> None:
    """DESIGN 5.17: the operator has no turns; `manager` is an address, not a name."""
    refused(office, Unknown, lambda: office.attach(HARNESS_CALLER, name, "instance-1"))


def test_a_wrong_token_is_denied(office: FakeOffice) -> None:
    """DESIGN 4: a harness proves each agent by its token; the answer for an unknown agent is another."""
    error = refused(office, Denied, lambda: office.attach(HARNESS_CALLER, "bob", "instance-1", proven=False))
    assert "not the token" in error.message


def test_a_removed_agent_is_unknown_and_a_stopped_one_denied(office: FakeOffice) -> None:
    """DESIGN 5.18, 10: both say what to do."""
    office.remove("bob")
    refused(office, Unknown, lambda: office.harness("bob"))
    office.apply(Settings(agents={"dora": AgentSettings()}))
    office.apply(Settings())
    error = refused(office, Denied, lambda: office.harness("dora"))
    assert "declare it again" in error.message


# --- one at a time ----------------------------------------------------------------------------------


def test_a_connected_holder_keeps_others_out(office: FakeOffice, bob: Caller) -> None:
    """[P14] DESIGN 5.7: with a connected one the second harness ends."""
    error = refused(office, Conflict, lambda: office.harness("bob"))
    assert error.details == {"holder": "harness", "connected": True}
    office.clock.advance(DAY_MS)
    refused(office, Conflict, lambda: office.harness("bob"))
    assert bob.epoch == 1


def test_a_holder_that_lost_its_connection_has_60_s(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: the second harness is told how long to wait, to the millisecond."""
    office.connection_ended(bob)
    office.clock.advance(HOLDER_LIVES_MS - 1)
    error = refused(office, Conflict, lambda: office.harness("bob"))
    assert error.details == {"holder": "harness", "connected": False, "retry_after_ms": 1}
    office.clock.advance(1)
    assert office.harness("bob").epoch == 2


def test_a_holder_that_detached_is_gone_at_once(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: its open turn goes back uncounted."""
    office.send(OWN, "bob")
    office.opened(bob)
    assert office.detach(bob).changed
    row = office.delivery("m1", "bob")
    assert (row["state"], row["restarts"], row["failures"]) == ("ready", 0, 0)
    assert office.row("SELECT outcome FROM turns")["outcome"] == "interrupted"
    assert office.harness("bob").epoch == 2


def test_detaching_again_changes_nothing(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 4: idempotent; a former holder does not detach its successor."""
    office.detach(bob)
    successor = office.harness("bob")
    before = office.contents()
    assert not office.detach(bob).changed
    assert office.contents() == before
    assert office.detach(successor).changed


def test_detaching_ends_what_the_instance_had_parked(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: nothing is leased for somebody who has gone, and nothing hangs."""
    waiting = office.park_open(bob)
    office.detach(bob)
    with pytest.raises(Stale):
        waiting.get()


def test_takeover_gives_the_next_epoch_and_the_old_turns_back(office: FakeOffice, bob: Caller) -> None:
    """[P14] [H21] DESIGN 5.7: for whoever reaped the former holder; its death is counted."""
    office.send(OWN, "bob")
    office.opened(bob)
    successor = office.harness("bob", takeover=True)
    assert successor.epoch == 2
    assert office.delivery("m1", "bob")["restarts"] == 1
    assert office.pushed("turn_revoked") == ["bob"]
    assert office.row("SELECT outcome FROM turns")["outcome"] == "fenced"
    assert office.opened(successor).mail[0].attempt == 2


def test_takeover_of_a_free_agent_is_a_plain_attach(office: FakeOffice) -> None:
    """DESIGN 5.7: nobody is told, nothing is counted."""
    assert office.harness("bob", takeover=True).epoch == 1
    assert office.pushed("turn_revoked") == []


def test_takeover_wakes_what_the_former_holder_parked(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: a fenced instance learns it at once, not when mail comes."""
    waiting = office.park_open(bob)
    office.harness("bob", takeover=True)
    with pytest.raises(Stale, match="another instance works for bob now"):
        waiting.get()


def test_a_lost_connection_of_a_former_holder_changes_nothing(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: the end of its connection may be noticed late."""
    office.harness("bob", takeover=True)
    before = office.contents()
    office.connection_ended(bob)
    assert office.contents() == before


def test_losing_a_connection_twice_starts_no_second_minute(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: 60 s after its connection ended."""
    office.connection_ended(bob)
    office.clock.advance(30_000)
    office.connection_ended(bob)
    office.clock.advance(30_000)
    assert office.harness("bob").epoch == 2


def test_a_harness_that_lost_its_connection_keeps_its_turn(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.4, 5.7: only an attended session on this machine is gone with its connection."""
    office.send(OWN, "bob")
    office.opened(bob)
    office.connection_ended(bob)
    assert office.state("m1", "bob") == "leased"


def test_a_lost_link_gives_an_open_turn_60_s_more(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: re-armed once, so that its holder can come back for as long as it lives."""
    office.send(OWN, "bob")
    turn = office.opened(bob)
    office.pass_time(50)
    office.connection_ended(bob)
    office.pass_time(30)
    office.connection_ended(bob)
    office.pass_time(29.999)
    assert office.state("m1", "bob") == "leased"
    office.pass_time(0.001)
    assert office.state("m1", "bob") == "ready"
    assert office.resume(bob, turn.id).turn is not None


@pytest.mark.parametrize("step_ms", [-90 * DAY_MS, 90 * DAY_MS])
def test_a_clock_that_is_set_moves_no_holders_minute(office: FakeOffice, bob: Caller, step_ms: int) -> None:
    """DESIGN 5.7: 60 s of elapsed time, wherever the wall clock goes."""
    office.connection_ended(bob)
    office.clock.advance(20_000)
    office.set_clock(step_ms)
    error = refused(office, Conflict, lambda: office.harness("bob"))
    assert error.details["retry_after_ms"] == 40_000
    office.clock.advance(40_000)
    assert office.harness("bob").epoch == 2


# --- what carries an old epoch ----------------------------------------------------------------------


def test_nothing_that_a_fenced_instance_says_has_an_effect(office: FakeOffice, bob: Caller) -> None:
    """[P14] DESIGN 5.7: `stale` for each, and the database is as it was."""
    office.send(OWN, "bob")
    turn = office.opened(bob)
    successor = office.harness("bob", takeover=True)
    current = office.opened(successor)
    for name in (turn.id, current.id):
        refused(office, Stale, lambda name=name: office.close(bob, name))
        refused(office, Stale, lambda name=name: office.close(bob, name, "crashed"))
        refused(office, Stale, lambda name=name: office.renew(bob, name))
        refused(office, Stale, lambda name=name: office.resume(bob, name))
        refused(office, Stale, lambda name=name: office.take(bob, name))
    refused(office, Stale, lambda: office.give_back(bob, current.id, "m1"))
    refused(office, Stale, lambda: office.open(bob))
    before = office.contents()
    assert office.give_back(bob, turn.id, "m1").ids == []
    assert office.contents() == before
    refused(office, Stale, lambda: office.settle(bob))
    assert office.close(successor, current.id).acked == ["m1"]


def test_a_fenced_instance_learns_which_epoch_holds(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: it ends that agent's program and goes on with the others."""
    office.harness("bob", takeover=True)
    error = refused(office, Stale, lambda: office.open(bob))
    assert "epoch 2" in error.message


def test_epochs_are_per_agent(office: FakeOffice, alice: Caller, bob: Caller) -> None:
    """DESIGN 5.7: a harness that was fenced for one agent goes on with the others."""
    office.harness("bob", takeover=True)
    office.send(OPERATOR_CALLER, "alice")
    assert office.close(alice, office.opened(alice).id).acked == ["m1"]
    assert bob.epoch == 1


def test_an_instance_of_a_removed_agent_is_stale(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.18: the running turn ends, and what it held is dead."""
    office.send(OWN, "bob")
    turn = office.opened(bob)
    office.remove("bob")
    refused(office, Stale, lambda: office.open(bob))
    refused(office, Stale, lambda: office.close(bob, turn.id))
    refused(office, Stale, lambda: office.renew(bob, turn.id))
    refused(office, Stale, lambda: office.take(bob, turn.id))


def test_an_agent_that_was_added_again_goes_on_counting_epochs(office: FakeOffice, bob: Caller) -> None:
    """[P14] DESIGN 5.7: an instance from before the removal is still fenced."""
    office.remove("bob")
    office.add("bob")
    assert office.harness("bob").epoch == 2
    refused(office, Stale, lambda: office.open(bob))
