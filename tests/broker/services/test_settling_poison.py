"""Mail that turns fail by: five failures make a dead letter, and somebody is told, once."""

import pytest

from broker.services.callers import Caller, Rules
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.settings import Limits
from wire.turns import MAX_FAILURES, MAX_RESTARTS, backoff_ms

OWN = by_token("alice")


def fail(office: FakeOffice, caller: Caller, times: int = MAX_FAILURES) -> None:
    """Open turns and let them fail, waiting for each back-off."""
    for _ in range(times):
        office.close(caller, office.opened(caller).id, "crashed")
        office.pass_time(600)


def test_each_failure_waits_longer_than_the_one_before(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: 1, 4, 16, 64 s, to the millisecond; a parked open returns when the wait is over."""
    office.send(OWN, "bob")
    waiting = office.park_open(bob, 3600)
    for failures in range(1, MAX_FAILURES):
        result = waiting.get()
        assert result is not None
        assert result.turn is not None
        office.close(bob, result.turn.id, "hung")
        waiting = office.park_open(bob, 3600)
        office.pass_time(backoff_ms(failures) / 1000 - 0.001)
        assert waiting.waits
        office.pass_time(0.001)
        assert not waiting.waits


def test_the_fifth_failure_makes_a_dead_letter(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: visible, with its reason, out of the inbox, never leased again."""
    office.send(OWN, "bob")
    fail(office, bob, MAX_FAILURES - 1)
    assert office.state("m1", "bob") == "ready"
    closed = office.close(bob, office.opened(bob).id, "max_turns")
    assert (closed.dead, closed.given_back) == (["m1"], [])
    row = office.delivery("m1", "bob")
    assert (row["state"], row["failures"], row["settled_at"]) == ("dead", MAX_FAILURES, office.clock.now_ms())
    assert "5 turns failed, the last by max_turns" in row["reason"]
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'bob'")["inbox_messages"] == 0
    office.pass_time(3600)
    assert office.open(bob) is None


def test_ends_between_failures_that_do_not_count_change_nothing(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: failures count over all attempts; quota walls and interrupts add nothing."""
    office.send(OWN, "bob")
    for _ in range(MAX_FAILURES - 1):
        office.close(bob, office.opened(bob).id, "rate_limited")
        fail(office, bob, 1)
    row = office.delivery("m1", "bob")
    assert (row["state"], row["failures"], row["attempt"]) == ("ready", 4, 8)


def test_a_death_is_told_to_sender_and_manager_once(office: FakeOffice, bob: Caller) -> None:
    """[P01] DESIGN 5.9: failure comes back to the sender."""
    office.send(OWN, "bob")
    fail(office, bob)
    for name in ("alice", "boss"):
        (notice,) = office.notices(name)
        assert "m1 to bob" in notice
        assert "is dead" in notice
    assert office.notices("operator") == office.notices("bob") == office.notices("carol") == []


def test_a_notice_answers_the_letter_that_died(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.13: linked for the sender, who was a party; not for the manager, who was not."""
    office.send(OWN, "bob")
    fail(office, bob)
    rows = office.rows("SELECT addressed_to, in_reply_to, sender, kind, depth FROM messages WHERE id > 1 ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("alice", 1, "system", "system", 0),
        ("boss", None, "system", "system", 0),
    ]


def test_the_operators_dead_mail_is_told_in_its_mailbox(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9, 5.17: the sender is told, whoever it is."""
    office.send(OPERATOR_CALLER, "bob")
    fail(office, bob)
    assert len(office.notices("operator")) == len(office.notices("boss")) == 1


def test_a_manager_is_told_once_about_its_own_mail(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: sender and manager are the same."""
    office.send(by_token("boss"), "bob")
    fail(office, bob)
    assert len(office.notices("boss")) == 1


def test_a_manager_is_not_told_that_its_own_inbox_failed(office: FakeOffice, boss: Caller) -> None:
    """Ours: a notice into the inbox that fails would only fail next."""
    office.send(OWN, "boss")
    fail(office, boss)
    assert (len(office.notices("alice")), office.notices("boss")) == (1, [])


def test_a_fleet_without_manager_tells_the_sender(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: nobody is told in place of the manager."""
    office.remove("boss")
    office.send(OWN, "bob")
    fail(office, bob)
    assert len(office.notices("alice")) == 1


def test_a_sender_that_was_removed_is_not_told(office: FakeOffice, bob: Caller) -> None:
    """Ours: there is no inbox to put the notice into."""
    office.send(OWN, "bob")
    office.remove("alice")
    fail(office, bob)
    assert office.state("m1", "bob") == "dead"
    assert len(office.notices("boss")) == 1


def test_a_dead_notice_causes_no_notice(office: FakeOffice, alice: Caller, bob: Caller, boss: Caller) -> None:
    """[P05] DESIGN 5.9: never recursive."""
    office.send(OWN, "bob")
    fail(office, bob)
    fail(office, alice)
    fail(office, boss)
    assert set(office.states("alice").values()) == set(office.states("boss").values()) == {"dead"}
    assert office.row("SELECT count(*) AS n FROM messages WHERE kind = 'system'")["n"] == 2


def test_a_notice_finds_room_in_a_full_inbox(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.14: notices use reserved headroom, and count."""
    office.send(OWN, "bob")
    office.send(OPERATOR_CALLER, "alice")
    office.rules = Rules(Limits(inbox_messages=1), disk_free_bytes=0)
    fail(office, bob)
    assert len(office.notices("alice")) == 1


def test_those_who_died_together_are_told_of_together(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.14: one notice per sender and cause."""
    for sender in (OWN, OWN, by_token("carol")):
        office.send(sender, "bob")
    office.damage("UPDATE deliveries SET failures = 4")
    office.close(bob, office.opened(bob).id, "crashed")
    assert len(office.notices("alice")) == len(office.notices("carol")) == 1
    assert "m1, m2 to bob" in office.notices("alice")[0]
    assert len(office.notices("boss")) == 2


def test_one_poisoned_letter_does_not_kill_the_others(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: the batch that failed goes one by one; the culprit dies, the rest is handled."""
    for sender in ("alice", "alice", "carol"):
        office.send(by_token(sender), "bob")
    handled: list[str] = []
    for _ in range(20):
        opened = office.open(bob)
        if opened is not None and opened.turn is not None:
            poisoned = any(mail.id == "m1" for mail in opened.turn.mail)
            handled += office.close(bob, opened.turn.id, "crashed" if poisoned else "completed").acked
        office.pass_time(600)
    assert office.states("bob") == {"m1": "dead", "m2": "acked", "m3": "acked"}
    assert sorted(handled) == ["m2", "m3"]


# --- restarts ---------------------------------------------------------------------------------------


def test_deaths_of_the_harness_count_apart(office: FakeOffice) -> None:
    """DESIGN 5.5: in `restarts`, without back-off; they are not the mail's failures."""
    office.send(OWN, "bob")
    for _ in range(3):
        office.opened(office.harness("bob", takeover=True))
    office.harness("bob", takeover=True)
    row = office.delivery("m1", "bob")
    assert (row["state"], row["restarts"], row["failures"], row["ready_at"]) == ("ready", 3, 0, 0)


@pytest.mark.parametrize("death", ["takeover", "lapse"])
def test_mail_that_saw_20_deaths_is_held(office: FakeOffice, death: str) -> None:
    """DESIGN 5.5: it may be what kills the harness itself; the operator decides, the others go on."""
    office.send(OWN, "bob")
    for _ in range(MAX_RESTARTS):
        bob = office.harness("bob", takeover=True)
        office.opened(bob)
        if death == "lapse":
            office.pass_time(60)
    if death == "takeover":
        office.harness("bob", takeover=True)
    row = office.delivery("m1", "bob")
    assert (row["state"], row["restarts"]) == ("held", MAX_RESTARTS)
    assert "died 20 times" in row["reason"]
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'bob'")["inbox_messages"] == 0
    later = office.send(OWN, "bob")
    assert [mail.id for mail in office.opened(office.harness("bob", takeover=True)).mail] == [later.id]


def test_an_orderly_end_is_no_death(office: FakeOffice) -> None:
    """DESIGN 5.5: interrupts, detaching and pausing count nothing."""
    office.send(OWN, "bob")
    for _ in range(3):
        bob = office.harness("bob")
        office.opened(bob)
        office.detach(bob)
    row = office.delivery("m1", "bob")
    assert (row["restarts"], row["failures"], row["attempt"]) == (0, 0, 3)
