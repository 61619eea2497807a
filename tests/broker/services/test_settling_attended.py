"""Attended turns: mail of a session without harness, and the four ways in which it becomes handled."""

from collections.abc import Iterable

import pytest

from broker.services.callers import Caller
from tests.broker.services.refusals import refused
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Conflict, Stale, Unknown
from wire.inbox import Mail

OWN = by_token("alice")


def ids(mail: Iterable[Mail]) -> list[str]:
    """Give the ids of mail in its order."""
    return [message.id for message in mail]


@pytest.fixture
def session(office: FakeOffice) -> Caller:
    """An attended session of bob, with four letters waiting."""
    for number in range(4):
        office.send(by_token("alice" if number % 2 == 0 else "carol"), "bob")
    return office.session("bob")


def finished(office: FakeOffice, message: str) -> bool:
    """Say whether a completed turn leased this very attempt at a message."""
    rows = office.rows(
        "SELECT 1 FROM deliveries d JOIN leases l ON l.delivery = d.id AND l.attempt = d.attempt "
        "JOIN turns t ON t.id = l.turn AND t.outcome = 'completed' AND d.turn = t.id "
        "WHERE d.message = :message AND d.state = 'acked'",
        message=int(message[1:]),
    )
    return bool(rows)


# --- taking -----------------------------------------------------------------------------------------


def test_the_first_taking_recv_opens_a_turn(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: an attended session needs no open turn; mail opens one."""
    taken = office.taken(session)
    assert (taken.turn, ids(taken.mail), taken.waiting) == ("t1", ["m1"], 3)
    row = office.row("SELECT attended, state FROM turns")
    assert tuple(row) == (1, "open")


def test_further_recvs_take_into_the_same_turn_and_ack_nothing(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: recv without wait takes what is there and never acks what came before."""
    first = office.taken(session)
    second = office.taken(session, maximum=2)
    assert (second.turn, ids(second.mail), second.waiting) == (first.turn, ["m2", "m3"], 1)
    assert list(office.states("bob").values()) == ["leased", "leased", "leased", "ready"]


def test_a_session_may_hold_more_than_a_harness_turn(office: FakeOffice) -> None:
    """DESIGN 5.3: 64 messages is the bound of a harness turn; a person ends no turn to go on reading."""
    office.commit(*(office.send.call(OWN, "bob") for _ in range(70)))
    session = office.session("bob")
    taken = [len(office.taken(session, maximum=32).mail) for _ in range(3)]
    assert taken == [32, 32, 6]


def test_a_parked_recv_of_a_session_returns_with_the_send(office: FakeOffice) -> None:
    """[H02] DESIGN 5.2, 5.4: the same writer, the same commit."""
    session = office.session("bob")
    waiting = office.park_take(session)
    office.send(OWN, "bob")
    result = waiting.get()
    assert result is not None
    assert ids(result.mail) == ["m1"]


def test_a_paused_agents_session_takes_nothing(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.18: mail collects until the pause ends."""
    office.pause("bob")
    waiting = office.park_take(session)
    assert waiting.waits
    office.resume_agent("bob")
    assert not waiting.waits


def test_mail_that_has_to_be_alone_is_alone_with_a_session_too(office: FakeOffice) -> None:
    """DESIGN 5.9: recv adds nothing to that turn until it is settled."""
    harness = office.harness("bob")
    for _ in range(2):
        office.send(OWN, "bob")
    office.close(harness, office.opened(harness).id, "crashed")
    office.detach(harness)
    office.pass_time(1)
    session = office.session("bob")
    assert ids(office.taken(session, maximum=10).mail) == ["m1"]
    assert office.taken(session).exhausted
    office.settle(session)
    assert ids(office.taken(session).mail) == ["m2"]


# --- who may take -----------------------------------------------------------------------------------


def test_a_second_taker_gets_a_conflict(office: FakeOffice, session: Caller) -> None:
    """[P14] DESIGN 5.4: one session at a time; it says that the first is connected."""
    office.taken(session)
    error = refused(office, Conflict, lambda: office.session("bob"))
    assert error.details["connected"] is True


def test_a_session_does_not_take_while_a_harness_holds_the_agent(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.4: outside of the open turn a recv is a peek then."""
    error = refused(office, Conflict, lambda: office.session("bob"))
    assert "a harness works for bob" in error.message
    assert bob.epoch == 1


def test_a_harness_does_not_start_while_a_session_is_there(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.7: with a connected holder it ends, with what to do in the message."""
    office.taken(session)
    error = refused(office, Conflict, lambda: office.harness("bob"))
    assert "an attended session works for bob" in error.message


def test_a_session_cannot_take_over(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: takeover is for whoever reaped the former holder, and that is no session."""
    assert bob.name == "bob"
    refused(office, Conflict, lambda: office.attach(OWN_BOB, "bob", "another-instance", takeover=True))


OWN_BOB = by_token("bob")


# --- settle -----------------------------------------------------------------------------------------


def test_the_stop_hook_settles_everything_that_was_handed_over(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: `turns.settle`, by the agent's own token from any connection."""
    office.taken(session, maximum=2)
    assert office.settle(OWN_BOB).acked == ["m1", "m2"]
    assert list(office.states("bob").values()) == ["acked", "acked", "ready", "ready"]
    assert finished(office, "m1")
    assert finished(office, "m2")
    assert office.row("SELECT state, outcome FROM turns")["outcome"] == "completed"


def test_what_was_not_handed_over_is_not_settled(office: FakeOffice, session: Caller) -> None:
    """[P01] DESIGN 5.4: the next recv opens a turn of its own."""
    office.taken(session)
    office.settle(OWN_BOB)
    assert office.settle(OWN_BOB).acked == []
    assert office.taken(session).turn == "t2"


def test_done_settles_up_to_a_message_and_splits_a_finished_turn_off(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: `recv(done=ID)`: all handed over up to that one; the rest stays with the session."""
    turn = office.taken(session, maximum=3).turn
    assert office.settle(session, done="m2").acked == ["m1", "m2"]
    assert list(office.states("bob").values()) == ["acked", "acked", "leased", "ready"]
    assert finished(office, "m1")
    assert finished(office, "m2")
    rows = office.rows("SELECT id, state, outcome, messages, carried_from FROM turns ORDER BY id")
    assert [tuple(row) for row in rows] == [(1, "open", None, 1, None), (2, "closed", "completed", 2, 1)]
    assert office.delivery("m3", "bob")["turn"] == 1
    assert turn == "t1"
    assert office.settle(session, done="m3").acked == ["m3"]
    assert office.row("SELECT state FROM turns WHERE id = 1")["state"] == "closed"


def test_done_does_not_settle_what_was_handed_over_later(office: FakeOffice, session: Caller) -> None:
    """[P01] DESIGN 5.4: up to that message in the order of handing over, not in the order of the inbox."""
    assert ids(office.taken(session).mail) == ["m1"]
    later = office.send(OPERATOR_CALLER, "bob").id
    assert ids(office.taken(session).mail) == [later]
    assert office.settle(session, done="m1").acked == ["m1"]
    assert office.state(later, "bob") == "leased"


def test_done_twice_settles_once(office: FakeOffice, session: Caller) -> None:
    """DESIGN 4: a retry changes nothing, also when the turn has ended by it."""
    office.taken(session, maximum=2)
    for done in ("m1", "m2"):
        assert office.settle(session, done=done).acked == [done]
        before = office.contents()
        assert office.settle(session, done=done).acked == []
        assert office.contents() == before


@pytest.mark.parametrize("done", ["m99", "m5", "t1", "nonsense"])
def test_done_with_a_message_that_is_not_the_agents_is_unknown(office: FakeOffice, session: Caller, done: str) -> None:
    """Ours: a model that mistypes an id is told, and nothing is acked by it."""
    assert office.send(OWN, "carol").id == "m5"
    office.taken(session, maximum=2)
    refused(office, Unknown, lambda: office.settle(session, done=done))


def test_settling_needs_an_attended_turn(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.4: in a harness turn it changes nothing: that mail is acked when the turn ends."""
    assert office.settle(OWN_BOB).acked == []
    office.send(OWN, "bob")
    office.opened(bob)
    before = office.contents()
    assert office.settle(OWN_BOB).acked == []
    assert office.settle(bob, done="m1").acked == []
    assert office.contents() == before


def test_settling_for_an_agent_that_never_was_changes_nothing(office: FakeOffice) -> None:
    """Ours: a hook may outlive its fleet."""
    assert office.settle(by_token("nobody")).acked == []


def test_a_session_that_was_succeeded_settles_nothing(office: FakeOffice, session: Caller) -> None:
    """[P14] DESIGN 5.7: a late ack changes nothing, also where the agent's token would allow it."""
    office.taken(session)
    office.connection_ended(session, local=False)
    office.clock.advance(60_000)
    successor = office.session("bob")
    office.taken(successor)
    refused(office, Stale, lambda: office.settle(session))
    office.send(session, "alice", in_reply_to="m1")
    assert office.state("m1", "bob") == "leased"


# --- answers ----------------------------------------------------------------------------------------


def test_an_answer_settles_the_letter_that_it_answers(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: a send with in_reply_to; a finished turn is split off for it."""
    office.taken(session, maximum=3)
    office.send(session, "carol", in_reply_to="m2")
    assert list(office.states("bob").values()) == ["leased", "acked", "leased", "ready"]
    assert finished(office, "m2")
    assert office.row("SELECT state FROM turns WHERE id = 1")["state"] == "open"


def test_an_answer_by_the_agents_token_settles_too(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: `send` needs only the token; the session's own tools may be another process."""
    office.taken(session)
    office.send(OWN_BOB, "alice", in_reply_to="m1")
    assert office.state("m1", "bob") == "acked"
    assert office.row("SELECT outcome FROM turns")["outcome"] == "completed"


def test_an_answer_by_broadcast_settles_too(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4, 5.12: it is a send with in_reply_to like any other."""
    office.taken(session)
    office.send(session, "*", in_reply_to="m1")
    assert office.state("m1", "bob") == "acked"


def test_an_answer_to_mail_that_was_not_handed_over_settles_nothing(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: only what the turn holds."""
    office.taken(session)
    office.send(session, "carol", in_reply_to="m2")
    assert list(office.states("bob").values()) == ["leased", "ready", "ready", "ready"]


def test_a_refused_answer_settles_nothing(office: FakeOffice, session: Caller) -> None:
    """[P01] DESIGN 5.4: an answer that nobody got is none."""
    office.taken(session)
    refused(office, Unknown, lambda: office.send(session, "nobody", in_reply_to="m1"))
    assert office.state("m1", "bob") == "leased"


def test_an_answer_in_a_harness_turn_settles_nothing(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: there the end of the turn acks."""
    office.send(OWN, "bob")
    office.opened(bob)
    office.send(bob, "alice", in_reply_to="m1")
    assert office.state("m1", "bob") == "leased"


# --- give back, leave -------------------------------------------------------------------------------


def test_a_cancelled_recv_gives_its_mail_back(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.3, 5.4: uncounted; what was handed over before stays with the session."""
    turn = office.taken(session).turn
    office.taken(session)
    assert turn is not None
    assert office.give_back(session, turn, "m2").ids == ["m2"]
    assert list(office.states("bob").values())[:2] == ["leased", "ready"]


def test_a_session_that_gave_everything_back_has_no_turn(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: an empty attended turn ends; the agent is not shown as working."""
    turn = office.taken(session).turn
    assert turn is not None
    office.give_back(session, turn, "m1")
    row = office.row("SELECT state, outcome FROM turns")
    assert tuple(row) == ("closed", "interrupted")
    assert office.taken(session).turn == "t2"


def test_queenpost_recv_closes_its_turn_as_completed(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: prints, flushes, closes as completed, then exits."""
    turn = office.taken(session, maximum=2).turn
    assert turn is not None
    assert office.close(session, turn).acked == ["m1", "m2"]
    office.detach(session)
    assert office.session("bob").epoch == 2


def test_the_end_of_a_local_connection_gives_the_mail_back_at_once(office: FakeOffice, session: Caller) -> None:
    """[H21] DESIGN 5.4: uncounted, and the next session need not wait."""
    office.taken(session, maximum=2)
    office.connection_ended(session, local=True)
    assert set(office.states("bob").values()) == {"ready"}
    row = office.delivery("m1", "bob")
    assert (row["failures"], row["restarts"]) == (0, 0)
    assert ids(office.taken(office.session("bob")).mail) == ["m1"]


def test_the_end_of_a_remote_connection_leaves_60_s_to_come_back(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: over ssh or TLS; then the lease runs out and the mail is ready again."""
    office.taken(session)
    office.connection_ended(session, local=False)
    office.pass_time(59)
    assert office.state("m1", "bob") == "leased"
    refused(office, Conflict, lambda: office.session("bob"))
    office.pass_time(1)
    assert office.state("m1", "bob") == "ready"
    assert office.session("bob").epoch == 2


def test_a_session_that_fell_silent_gives_its_mail_back_uncounted(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.4: no harness died; a person who closes the lid 20 times holds no mail by it."""
    turn = office.taken(session).turn
    office.damage("UPDATE deliveries SET restarts = 19")
    office.connection_ended(session, local=False)
    office.pass_time(60)
    row = office.delivery("m1", "bob")
    assert (row["state"], row["restarts"], row["failures"]) == ("ready", 19, 0)
    assert turn is not None
    office.resume(session, turn)
    row = office.delivery("m1", "bob")
    assert (row["state"], row["restarts"]) == ("leased", 19)


def test_a_session_that_comes_back_in_time_keeps_its_turn(office: FakeOffice, session: Caller) -> None:
    """DESIGN 5.7: the same instance: same epoch, and what it took is still its own."""
    office.taken(session)
    office.connection_ended(session, local=False)
    office.pass_time(50)
    assert session.instance is not None
    again = office.session("bob", session.instance)
    assert again == session
    assert office.settle(again).acked == ["m1"]
