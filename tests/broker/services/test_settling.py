"""How turns end: acked, given back, carried on; and that what comes late or twice changes nothing."""

import json
from typing import get_args

import pytest

from broker.services.callers import Caller
from tests.broker.services.refusals import refused
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Invalid, Stale, Unknown
from wire.turns import CLIENT_OUTCOMES, COUNTED, LEASE_MS, Outcome, Usage, backoff_ms, is_counted

OWN = by_token("alice")
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
UNCOUNTED = sorted(CLIENT_OUTCOMES - COUNTED - {"completed"})


def mail_to(office: FakeOffice, name: str, count: int) -> list[str]:
    """Send so many messages; gives their ids."""
    calls = [office.send.call(OWN, name) for _ in range(count)]
    office.commit(*calls)
    return [call.get().id for call in calls]


def waiting_in(office: FakeOffice, name: str) -> tuple[int, int]:
    """Give the quota counters of an inbox."""
    row = office.row("SELECT inbox_messages, inbox_bytes FROM agents WHERE name = :name", name=name)
    return row["inbox_messages"], row["inbox_bytes"]


# --- close ------------------------------------------------------------------------------------------


def test_a_completed_turn_acks_all_of_its_mail(office: FakeOffice, bob: Caller) -> None:
    """[Z1] DESIGN 5.5: in one transaction; only this makes mail handled."""
    ids = mail_to(office, "bob", 3)
    turn = office.opened(bob)
    usage = Usage(input_tokens=7, cost_usd=0.25)
    closed = office.close(bob, turn.id, usage=usage, reason="end_turn")
    assert (closed.acked, closed.given_back, closed.dead, closed.next) == (ids, [], [], None)
    assert office.states("bob") == dict.fromkeys(ids, "acked")
    assert waiting_in(office, "bob") == (0, 0)
    row = office.row("SELECT * FROM turns")
    assert (row["state"], row["outcome"], row["begun"], row["reason"]) == ("closed", "completed", 1, "end_turn")
    assert json.loads(row["usage"]) == {"input_tokens": 7, "cost_usd": 0.25}
    assert row["closed_at"] == office.clock.now_ms()


def test_mail_that_came_during_a_turn_is_not_acked_with_it(office: FakeOffice, bob: Caller) -> None:
    """[P01] DESIGN 5.5: a finished turn handles what it leased and nothing else."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    mail_to(office, "bob", 1)
    assert office.close(bob, turn.id).acked == ["m1"]
    assert office.states("bob") == {"m1": "acked", "m2": "ready"}


@pytest.mark.parametrize("outcome", UNCOUNTED)
def test_an_end_that_is_not_the_mails_fault_gives_it_back_at_once(
    office: FakeOffice, bob: Caller, outcome: Outcome
) -> None:
    """[P08] DESIGN 5.5: uncounted and without back-off; the agent parks instead."""
    mail_to(office, "bob", 1)
    closed = office.close(bob, office.opened(bob).id, outcome)
    assert (closed.given_back, closed.acked, closed.dead) == (["m1"], [], [])
    row = office.delivery("m1", "bob")
    assert (row["state"], row["failures"], row["restarts"], row["ready_at"]) == ("ready", 0, 0, 0)
    assert office.opened(bob).mail[0].attempt == 2


@pytest.mark.parametrize("outcome", sorted(COUNTED))
def test_an_end_that_may_be_the_mails_fault_counts_and_backs_off(
    office: FakeOffice, bob: Caller, outcome: Outcome
) -> None:
    """DESIGN 5.5: crash, hang, context full, max turns, once the model had begun to answer."""
    mail_to(office, "bob", 1)
    office.close(bob, office.opened(bob).id, outcome)
    row = office.delivery("m1", "bob")
    assert (row["state"], row["failures"], row["attempt"]) == ("ready", 1, 1)
    assert row["ready_at"] == office.clock.now_ms() + 1000


@pytest.mark.parametrize("outcome", sorted(COUNTED))
def test_a_turn_in_which_the_model_never_began_does_not_count(
    office: FakeOffice, bob: Caller, outcome: Outcome
) -> None:
    """DESIGN 5.5: the mail cannot be at fault for what it was never shown to."""
    mail_to(office, "bob", 1)
    office.close(bob, office.opened(bob).id, outcome, begun=False)
    row = office.delivery("m1", "bob")
    assert (row["failures"], row["ready_at"]) == (0, 0)


def test_the_one_table_of_outcomes() -> None:
    """DESIGN 5.5: which outcome counts as the mail's fault stands in `wire.turns` only."""
    counted = {outcome for outcome in OUTCOMES if is_counted(outcome, begun=True)}
    assert counted == {"crashed", "hung", "context_full", "max_turns"}
    assert not any(is_counted(outcome, begun=False) for outcome in OUTCOMES)
    assert set(OUTCOMES) - CLIENT_OUTCOMES == {"link_lost", "lapsed", "fenced"}


def test_back_off_grows_fourfold_up_to_ten_minutes() -> None:
    """DESIGN 5.5: 1 s·4^(n−1)."""
    assert [backoff_ms(failures) for failures in range(1, 7)] == [1000, 4000, 16_000, 64_000, 256_000, 600_000]


@pytest.mark.parametrize("outcome", ["lapsed", "fenced", "link_lost"])
def test_the_brokers_own_outcomes_are_not_a_clients_to_say(office: FakeOffice, bob: Caller, outcome: Outcome) -> None:
    """Ours: they would make a story that did not happen."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    refused(office, Invalid, lambda: office.close(bob, turn.id, outcome))


def test_the_end_of_a_turn_wakes_a_parked_open(office: FakeOffice, bob: Caller) -> None:
    """[P02] DESIGN 5.8: what was given back is eligible in the same commit."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    closing = office.close.call(bob, turn.id, "interrupted")
    opening = office.open.call(bob).parked("bob", 180)
    office.commit(closing, opening)
    result = opening.get()
    assert result is not None
    assert result.turn is not None
    assert (result.turn.id, result.turn.mail[0].attempt) == ("t2", 2)


# --- closing again, late, or by others --------------------------------------------------------------


def test_closing_again_gives_the_same_answer(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 4: turns.* need no key; a retry after a lost answer is safe."""
    mail_to(office, "bob", 2)
    turn = office.opened(bob)
    first = office.close(bob, turn.id)
    before = office.contents()
    assert office.close(bob, turn.id) == first
    assert office.contents() == before


def test_closing_again_gives_the_carried_turn_again(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 4, 5.5: else a harness that lost the answer would not know of the turn that it holds."""
    mail_to(office, "bob", 2)
    turn = office.opened(bob)
    first = office.close(bob, turn.id, carry=["m2"])
    again = office.close(bob, turn.id, carry=["m2"])
    assert first.next is not None
    assert again.next is not None
    assert (again.acked, again.next.id, again.next.mail) == (["m1"], first.next.id, first.next.mail)
    assert again.next.carried


def test_closing_again_with_another_outcome_changes_nothing(office: FakeOffice, bob: Caller) -> None:
    """[P14] DESIGN 5.7: what is handled stays handled, what went back is not acked afterwards."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    office.close(bob, turn.id, "interrupted")
    refused(office, Stale, lambda: office.close(bob, turn.id))
    second = office.opened(bob)
    office.close(bob, second.id)
    refused(office, Stale, lambda: office.close(bob, second.id, "crashed"))


def test_a_turn_of_another_agent_looks_like_an_unknown_one(office: FakeOffice, alice: Caller, bob: Caller) -> None:
    """DESIGN 5.1: ownership, not secrecy, protects ids; the answer is the same."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    messages = {
        refused(office, Unknown, act).message.replace(turn.id, "t99")
        for name in (turn.id, "t99")
        for act in (
            lambda name=name: office.close(alice, name),
            lambda name=name: office.resume(alice, name),
            lambda name=name: office.give_back(alice, name, "m1"),
        )
    }
    assert len(messages) == 1
    refused(office, Stale, lambda: office.renew(alice, turn.id))


@pytest.mark.parametrize("name", ["", "t0", "m1", "t1x", "T1", "t-1", "t" + "9" * 30])
def test_a_malformed_turn_id_is_unknown(office: FakeOffice, bob: Caller, name: str) -> None:
    """Ours: and never an error of ours."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    for act in (office.close.call, office.resume.call, office.renew.call):
        call = act(bob, turn.id[:0] + (name or "t"))
        office.commit(call)
        assert call.outcome is not None
        assert isinstance(call.outcome.error, Unknown)


# --- give_back --------------------------------------------------------------------------------------


def test_mail_that_was_given_back_is_ready_at_once_and_nothing_is_counted(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: for a recv whose result was cancelled or could not be written."""
    mail_to(office, "bob", 2)
    turn = office.opened(bob)
    assert office.give_back(bob, turn.id, "m1").ids == ["m1"]
    row = office.delivery("m1", "bob")
    assert (row["state"], row["failures"], row["restarts"], row["ready_at"]) == ("ready", 0, 0, 0)
    assert office.close(bob, turn.id).acked == ["m2"]
    assert office.state("m1", "bob") == "ready"


def test_giving_back_again_changes_nothing(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 4: idempotent; what the turn no longer holds is left alone."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    office.give_back(bob, turn.id, "m1")
    before = office.contents()
    assert office.give_back(bob, turn.id, "m1", "m77", "nonsense").ids == []
    assert office.contents() == before


def test_mail_can_be_given_back_and_taken_again_in_one_turn(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: a cancelled recv and the next one."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    for attempt in (2, 3):
        office.give_back(bob, turn.id, "m1")
        (mail,) = office.taken(bob, turn.id).mail
        assert (mail.id, mail.attempt) == ("m1", attempt)
    assert office.close(bob, turn.id).acked == ["m1"]
    lease = office.row("SELECT attempt, given_back FROM leases")
    assert tuple(lease) == (3, 0)


def test_several_letters_can_be_given_back_and_taken_again_in_one_turn(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: also with mail in between, and they are handed over anew."""
    mail_to(office, "bob", 4)
    turn = office.opened(bob)
    office.give_back(bob, turn.id, "m1", "m2", "m4")
    assert [mail.id for mail in office.taken(bob, turn.id, 10).mail] == ["m1", "m2", "m4"]
    assert [mail.id for mail in office.opened(bob).mail] == ["m3", "m1", "m2", "m4"]
    assert office.close(bob, turn.id).acked == ["m3", "m1", "m2", "m4"]


def test_carried_mail_keeps_the_order_of_handing_over(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: the carried turn lists it as its first answer did."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    office.send(OPERATOR_CALLER, "bob")
    office.taken(bob, turn.id)
    following = office.close(bob, turn.id, "interrupted", carry=["m1", "m2"]).next
    assert following is not None
    assert [mail.id for mail in following.mail] == ["m1", "m2"]
    assert office.opened(bob).mail == following.mail


def test_giving_back_after_the_turn_ended_changes_nothing(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: what is acked stays acked."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    office.close(bob, turn.id)
    before = office.contents()
    assert office.give_back(bob, turn.id, "m1").ids == []
    assert office.contents() == before


def test_a_harness_turn_stays_open_when_everything_was_given_back(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: the program runs on; only the harness knows when it ends."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    office.give_back(bob, turn.id, "m1")
    assert office.row("SELECT state FROM turns")["state"] == "open"
    assert office.close(bob, turn.id).acked == []


# --- carry ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["completed", "interrupted", "crashed"])
def test_carried_mail_moves_to_the_next_turn_in_the_same_transaction(
    office: FakeOffice, bob: Caller, outcome: Outcome
) -> None:
    """DESIGN 5.5: leased to it, attempt unchanged, whatever became of the rest."""
    mail_to(office, "bob", 3)
    turn = office.opened(bob)
    closed = office.close(bob, turn.id, outcome, carry=["m3", "m2"])
    following = closed.next
    assert following is not None
    assert (following.id, following.carried, following.lease_ms) == ("t2", True, LEASE_MS)
    assert [(mail.id, mail.attempt) for mail in following.mail] == [("m2", 1), ("m3", 1)]
    assert closed.acked == (["m1"] if outcome == "completed" else [])
    assert closed.given_back == ([] if outcome == "completed" else ["m1"])
    row = office.delivery("m2", "bob")
    assert (row["state"], row["turn"], row["failures"], row["alone"]) == ("leased", 2, 0, 0)
    assert office.row("SELECT carried_from FROM turns WHERE id = 2")["carried_from"] == 1
    office.close(bob, following.id)
    assert office.state("m3", "bob") == "acked"


def test_everything_may_be_carried(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: a turn that ended before the model saw any of its mail."""
    ids = mail_to(office, "bob", 2)
    closed = office.close(bob, office.opened(bob).id, carry=ids)
    assert closed.acked == []
    assert closed.next is not None
    assert [mail.id for mail in closed.next.mail] == ids


def test_only_what_the_turn_holds_is_carried(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: ids of other mail open nothing."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    mail_to(office, "bob", 1)
    closed = office.close(bob, turn.id, carry=["m2", "m77", "nonsense"])
    assert (closed.acked, closed.next) == (["m1"], None)


def test_a_carried_turn_counts_what_waits(office: FakeOffice, bob: Caller) -> None:
    """[H03] DESIGN 5.5: what was given back waits again, what backs off does not wait yet."""
    mail_to(office, "bob", 3)
    turn = office.opened(bob)
    mail_to(office, "bob", 1)
    following = office.close(bob, turn.id, "interrupted", carry=["m3"]).next
    assert following is not None
    assert following.waiting == 3
    office.close(bob, following.id, "interrupted")
    following = office.close(bob, office.opened(bob).id, "crashed", carry=["m4"]).next
    assert following is not None
    assert following.waiting == 0


def test_the_open_turn_that_was_carried_says_so_again(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: whoever asks again runs or adopts it without composing."""
    mail_to(office, "bob", 1)
    office.close(bob, office.opened(bob).id, carry=["m1"])
    again = office.opened(bob)
    assert (again.id, again.carried, again.mail[0].attempt) == ("t2", True, 1)


# --- the lease --------------------------------------------------------------------------------------


def test_a_lease_is_renewed_for_another_period(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.6: 60 s from each renewal, however often."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    for _ in range(10):
        office.pass_time(59.999)
        assert office.renew(bob, turn.id).lease_ms == LEASE_MS
    assert office.state("m1", "bob") == "leased"


def test_a_renewal_tells_that_the_model_has_begun(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: once begun, a later renewal does not take it back."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    begun: list[int] = []
    for value in (False, True, False):
        office.renew(bob, turn.id, begun=value)
        begun.append(office.row("SELECT begun FROM turns")["begun"])
    assert begun == [0, 1, 1]


def test_a_turn_that_ended_is_not_renewed(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: `stale`, and nothing comes back to life."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    office.close(bob, turn.id)
    refused(office, Stale, lambda: office.renew(bob, turn.id))
