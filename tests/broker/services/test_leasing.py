"""Which mail a turn may lease next: order in each pair, back-off, what has to be alone, what is damaged."""

import pytest

from broker.services.callers import Caller
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.inbox import Mail
from wire.turns import Outcome


def ids(mail: list[Mail]) -> list[str]:
    """Give the ids of mail in its order."""
    return [message.id for message in mail]


def send(office: FakeOffice, sender: str, *bodies: str, to: str = "bob") -> list[str]:
    """Send letters to bob; gives their ids."""
    return [office.send(by_token(sender), to, body or "hello").id for body in bodies]


def fail(office: FakeOffice, caller: Caller, outcome: Outcome = "crashed") -> None:
    """Open a turn and let it fail by its mail."""
    office.close(caller, office.opened(caller).id, outcome)


# --- order ------------------------------------------------------------------------------------------


def test_mail_is_leased_in_the_order_of_its_commits(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: by place, across senders."""
    sent = [*send(office, "alice", "1"), *send(office, "carol", "2"), *send(office, "alice", "3")]
    assert ids(office.opened(bob).mail) == sent


def test_mail_that_was_given_back_keeps_its_place(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: before what was sent meanwhile, with its attempt counted."""
    first = send(office, "alice", "1", "2")
    office.close(bob, office.opened(bob).id, "interrupted")
    later = send(office, "alice", "3")
    turn = office.opened(bob)
    assert ids(turn.mail) == [*first, *later]
    assert [mail.attempt for mail in turn.mail] == [2, 2, 1]


def test_system_and_operator_mail_goes_first(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: before older mail of peers, and in its own order."""
    peer = send(office, "alice", "1")
    operator = [office.send(OPERATOR_CALLER, "bob").id for _ in range(2)]
    assert ids(office.opened(bob).mail) == [*operator, *peer]


def test_back_off_blocks_its_own_pair_only(office: FakeOffice, bob: Caller) -> None:
    """[P05] DESIGN 5.8: alice's later mail waits behind the failed one, carol's goes on."""
    failed = send(office, "alice", "poison")
    fail(office, bob)
    behind = send(office, "alice", "behind")
    other = send(office, "carol", "other")
    turn = office.opened(bob)
    assert ids(turn.mail) == other
    office.close(bob, turn.id)
    assert office.open(bob) is None
    office.pass_time(1)
    assert ids(office.opened(bob).mail) == [*failed, *behind]


def test_back_off_of_one_recipient_does_not_block_the_other(office: FakeOffice, bob: Caller, carol: Caller) -> None:
    """DESIGN 5.8: the pair is (sender, recipient)."""
    send(office, "alice", "poison")
    fail(office, bob)
    there = send(office, "alice", "fine", to="carol")
    assert ids(office.opened(carol).mail) == there


def test_mail_before_a_back_off_is_not_blocked_by_it(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: only later places of the pair wait. A requeued letter stands behind."""
    send(office, "alice", "1", "2")
    turn = office.opened(bob)
    office.give_back(bob, turn.id, "m1")
    office.close(bob, turn.id, "crashed")
    assert office.delivery("m2", "bob")["ready_at"] > office.clock.now_ms()
    assert ids(office.opened(bob).mail) == ["m1"]


def test_operator_mail_keeps_its_order_behind_a_back_off(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: only system and reminder kinds are exempt; the operator is a pair like others."""
    office.send(OPERATOR_CALLER, "bob", "1")
    fail(office, bob)
    office.send(OPERATOR_CALLER, "bob", "2")
    assert office.open(bob) is None


def test_notices_are_exempt_from_order(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: a notice that backs off keeps no other notice waiting."""
    send(office, "bob", "1", to="alice")
    office.remove("alice")
    fail(office, bob)
    send(office, "bob", "2", to="carol")
    office.remove("carol")
    turn = office.opened(bob)
    assert [mail.kind for mail in turn.mail] == ["system"]
    assert "carol" in turn.mail[0].body


@pytest.mark.parametrize("end", ["dead", "held"])
def test_a_pair_goes_on_when_its_first_letter_is_dead_or_held(office: FakeOffice, bob: Caller, end: str) -> None:
    """DESIGN 5.8: eligible is what has only terminal or held mail of its pair before it."""
    first, second = send(office, "alice", "1", "2")
    office.damage("UPDATE deliveries SET state = :end WHERE message = 1", end=end)
    assert first == "m1"
    assert ids(office.opened(bob).mail) == [second]


def test_a_requeued_letter_goes_to_the_end(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: requeue gives a new place."""
    send(office, "alice", "poison")
    for _ in range(5):
        fail(office, bob)
        office.pass_time(600)
    later = send(office, "alice", "later")
    office.requeue("m1")
    assert [mail for mail in ids(office.opened(bob).mail) if mail in ("m1", *later)] == [*later, "m1"]


# --- alone ------------------------------------------------------------------------------------------


def test_mail_that_failed_together_goes_one_by_one(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: so the culprit is found; a batch ends before such mail, and holds it alone."""
    first, second = send(office, "alice", "1", "2")
    fail(office, bob)
    third = send(office, "carol", "3")
    office.pass_time(1)
    batches: list[list[str]] = []
    while (opened := office.open(bob)) is not None and opened.turn is not None:
        batches.append(ids(opened.turn.mail))
        office.close(bob, opened.turn.id)
    assert batches == [[first], [second], third]


def test_a_batch_ends_before_mail_that_has_to_be_alone(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: what stands before it is not held up, and does not share a turn with it."""
    send(office, "alice", "1", "2")
    fail(office, bob)
    operator = office.send(OPERATOR_CALLER, "bob").id
    office.pass_time(1)
    assert ids(office.opened(bob).mail) == [operator]


def test_recv_adds_nothing_to_a_turn_with_mail_that_has_to_be_alone(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: also operator mail waits for the next turn."""
    send(office, "alice", "1", "2")
    fail(office, bob)
    office.pass_time(1)
    turn = office.opened(bob)
    assert ids(turn.mail) == ["m1"]
    office.send(OPERATOR_CALLER, "bob")
    taken = office.taken(bob, turn.id)
    assert (taken.mail, taken.exhausted) == ([], True)


def test_mail_that_has_to_be_alone_joins_no_turn(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: a take inside of a turn leaves it for the next one, and says so."""
    send(office, "alice", "1", "2")
    fail(office, bob)
    send(office, "carol", "3")
    turn = office.opened(bob)
    assert ids(turn.mail) == ["m3"]
    office.pass_time(1)
    taken = office.taken(bob, turn.id)
    assert (taken.mail, taken.exhausted) == ([], True)


def test_mail_stays_alone_when_it_is_carried(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: it is marked and stays so; a carried turn takes nothing to it either."""
    send(office, "alice", "1", "2")
    fail(office, bob)
    office.pass_time(1)
    carried = office.close(bob, office.opened(bob).id, "interrupted", carry=["m1"]).next
    assert carried is not None
    taken = office.taken(bob, carried.id)
    assert (taken.mail, taken.exhausted) == ([], True)


def test_mail_that_failed_by_itself_is_not_marked(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: two or more in the turn; one was found already."""
    send(office, "alice", "1")
    fail(office, bob)
    assert office.delivery("m1", "bob")["alone"] == 0


def test_mail_is_not_marked_by_an_end_that_is_not_its_fault(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: only by a counted failure."""
    send(office, "alice", "1", "2")
    fail(office, bob, "rate_limited")
    assert office.delivery("m1", "bob")["alone"] == 0
    assert len(office.opened(bob).mail) == 2


# --- damage -----------------------------------------------------------------------------------------

DAMAGES = {
    "another text": "UPDATE messages SET body = 'HELLO' WHERE id = 1",
    "no text at all": "UPDATE messages SET body = CAST(x'c3ff28' AS TEXT) WHERE id = 1",
    "another hash": "UPDATE messages SET body_sha256 = zeroblob(32) WHERE id = 1",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_letter_is_held_and_never_handed_out(office: FakeOffice, bob: Caller, damage: str) -> None:
    """[H22] [P09] DESIGN 5, 5.8: it is put aside for the operator, and the mail behind it goes on."""
    send(office, "alice", "hello", "second")
    office.damage(damage)
    assert ids(office.opened(bob).mail) == ["m2"]
    row = office.delivery("m1", "bob")
    assert (row["state"], row["attempt"]) == ("held", 0)
    assert "checksum" in row["reason"]
    assert office.logged("broken_mail_held") == [{"agent": "bob", "mail": ["m1"]}]
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'bob'")["inbox_messages"] == 1


def test_a_damaged_letter_alone_opens_no_turn(office: FakeOffice, bob: Caller) -> None:
    """[H22] DESIGN 5: the agent is not woken for it; the parked open waits on for good mail."""
    waiting = office.park_open(bob)
    send(office, "carol", "x", to="alice")
    office.damage("UPDATE messages SET body = 'other' WHERE id = 1")
    damaged = office.harness("alice")
    assert office.open(damaged) is None
    assert office.state("m1", "alice") == "held"
    assert waiting.waits


def test_a_letter_that_is_damaged_in_a_turn_does_not_stop_its_end(office: FakeOffice, bob: Caller) -> None:
    """[H22] DESIGN 5: it was handed over when it was whole; what comes after needs its row only."""
    send(office, "alice", "hello")
    turn = office.opened(bob)
    office.damage(DAMAGES["no text at all"])
    assert office.close(bob, turn.id).acked == ["m1"]


def test_a_damaged_letter_does_not_stop_a_lapse(office: FakeOffice, bob: Caller) -> None:
    """[H22] DESIGN 5.7: time goes on for the others; the next open puts it aside."""
    send(office, "alice", "hello")
    office.opened(bob)
    office.damage(DAMAGES["no text at all"])
    office.pass_time(60)
    assert office.state("m1", "bob") == "ready"
    assert office.open(bob) is None
    assert office.state("m1", "bob") == "held"


# --- what earlier attempts sent ---------------------------------------------------------------------


def test_redelivered_mail_says_what_the_earlier_attempt_sent(office: FakeOffice, bob: Caller) -> None:
    """[H21] [P14] DESIGN 5.10: attempt, and each send of the earlier turn with how it began."""
    send(office, "alice", "1")
    turn = office.opened(bob)
    sent = office.send(bob, "carol", "I begin. " + "x" * 300)
    office.close(bob, turn.id, "interrupted")
    office.send(bob, "alice", "outside of any turn")
    (mail,) = office.opened(bob).mail
    assert mail.attempt == 2
    (earlier,) = mail.earlier
    assert (earlier.id, earlier.to) == (sent.id, "carol")
    assert earlier.excerpt.startswith("I begin. x")
    assert len(earlier.excerpt) == 120


def test_many_earlier_sends_are_counted_for_each_mail(office: FakeOffice, bob: Caller) -> None:
    """[H21] DESIGN 5.10: none is left out without a word, however many there were and however many held them."""
    for number in (1, 2):
        send(office, "alice", str(number))
    turn = office.opened(bob)
    sent = [office.send(bob, "carol", f"part {number}").id for number in range(70)]
    office.close(bob, turn.id, "interrupted")
    mail = office.opened(bob).mail
    assert len(mail) == 2
    for one in mail:
        assert [earlier.id for earlier in one.earlier] == sent[:8]
        assert one.earlier_more == 62


def test_mail_at_its_first_attempt_says_nothing_of_others(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.10: what a turn sent belongs to the mail that the turn held."""
    send(office, "alice", "1")
    office.close(bob, office.opened(bob).id, "interrupted")
    send(office, "carol", "2")
    by_id = {mail.id: mail for mail in office.opened(bob).mail}
    assert by_id["m2"].attempt == 1
    assert by_id["m2"].earlier == []


def test_a_damaged_earlier_send_does_not_keep_mail_back(office: FakeOffice, bob: Caller) -> None:
    """[H22] DESIGN 5.10: the list is shown as far as it can be read."""
    send(office, "alice", "1")
    turn = office.opened(bob)
    office.send(bob, "carol", "soon broken")
    office.close(bob, turn.id, "interrupted")
    office.damage("UPDATE messages SET body = CAST(x'c3ff28' AS TEXT) WHERE id = 2")
    (mail,) = office.opened(bob).mail
    assert [earlier.id for earlier in mail.earlier] == ["m2"]
