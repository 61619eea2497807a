"""What an operator does with letters: read the mailbox, requeue and discard dead ones; each act is audited."""

import pytest

from broker.services.callers import Caller, Rules
from tests.broker.services.refusals import refused
from tests.fakes.office import FakeOffice, by_token
from wire.errors import Conflict, Invalid, Unknown
from wire.settings import Limits
from wire.turns import MAX_FAILURES

OWN = by_token("alice")


def die(office: FakeOffice, caller: Caller, failures: int = MAX_FAILURES) -> None:
    """Let everything that waits for an agent die."""
    for _ in range(failures):
        office.close(caller, office.opened(caller).id, "crashed")
        office.pass_time(600)


@pytest.fixture
def dead(office: FakeOffice, bob: Caller) -> str:
    """A letter of alice to bob that is dead."""
    message = office.send(OWN, "bob").id
    die(office, bob)
    assert office.state(message, "bob") == "dead"
    return message


# --- the mailbox ------------------------------------------------------------------------------------


def test_operator_mail_stays_until_it_is_marked_as_read(office: FakeOffice) -> None:
    """DESIGN 5.17: no turn takes it, no time ends it."""
    ids = [office.send(OWN, "operator").id for _ in range(3)]
    office.pass_time(90 * 24 * 3600)
    assert set(office.states("operator").values()) == {"ready"}
    assert office.ack(ids[1]).ids == [ids[1]]
    assert office.states("operator") == {ids[0]: "ready", ids[1]: "acked", ids[2]: "ready"}


def test_all_of_it_can_be_read_at_once(office: FakeOffice) -> None:
    """DESIGN 10: `inbox --ack --all`; only what was there."""
    ids = [office.send(OWN, "operator").id for _ in range(3)]
    assert office.ack(everything=True).ids == ids
    later = office.send(OWN, "operator").id
    assert office.states("operator")[later] == "ready"
    row = office.row("SELECT inbox_messages, inbox_bytes FROM agents WHERE name = 'operator'")
    assert row["inbox_messages"] == 1


def test_reading_twice_changes_nothing(office: FakeOffice) -> None:
    """DESIGN 4: the same key gives the same ids, another key gives none."""
    office.send(OWN, "operator")
    first = office.ack("m1", key="k")
    before = office.contents()
    assert office.ack("m1", key="k") == first
    assert office.contents() == before
    assert office.ack("m1").ids == []


def test_mail_of_others_is_not_read_here(office: FakeOffice) -> None:
    """DESIGN 5.17: an id of other mail is an error, and nothing of the request is done."""
    office.send(OWN, "bob")
    office.send(OWN, "operator")
    for wrong in ("m1", "m99", "t1", "nonsense"):
        refused(office, Unknown, lambda wrong=wrong: office.ack("m2", wrong))
    assert office.state("m2", "operator") == "ready"


def test_reading_nothing_in_particular_is_refused(office: FakeOffice) -> None:
    """Ours: neither ids nor all, or both."""
    office.send(OWN, "operator")
    refused(office, Invalid, office.ack)
    refused(office, Invalid, lambda: office.ack("m1", everything=True))


def test_reading_is_audited(office: FakeOffice) -> None:
    """DESIGN 5.17: one row, with the ids; none when there was nothing to read."""
    office.send(OWN, "operator")
    office.ack(everything=True)
    office.ack(everything=True)
    rows = office.rows("SELECT subject, detail FROM audit WHERE action = 'mailbox.read'")
    assert [tuple(row) for row in rows] == [("operator", '{"mail": ["m1"]}')]


# --- requeue ----------------------------------------------------------------------------------------


def test_a_requeued_letter_keeps_its_id_and_gets_a_new_place_and_budget(
    office: FakeOffice, bob: Caller, dead: str
) -> None:
    """DESIGN 5.8, 5.9: five more failures, at the end of the inbox."""
    later = office.send(OWN, "bob").id
    assert office.requeue(dead).changed == [f"{dead}/bob"]
    row = office.delivery(dead, "bob")
    assert (row["state"], row["failures"], row["restarts"], row["ready_at"]) == ("ready", 0, 0, 0)
    assert (row["reason"], row["settled_at"], row["attempt"]) == (None, None, MAX_FAILURES)
    turn = office.opened(bob)
    assert [mail.id for mail in turn.mail] == [later, dead]
    assert turn.mail[1].attempt == MAX_FAILURES + 1
    assert office.close(bob, turn.id).acked == [later, dead]


def test_a_requeued_letter_may_die_again(office: FakeOffice, bob: Caller, dead: str) -> None:
    """DESIGN 5.9: after five more failures, with a notice again."""
    office.requeue(dead)
    die(office, bob, MAX_FAILURES - 1)
    assert office.state(dead, "bob") == "ready"
    die(office, bob, 1)
    assert office.state(dead, "bob") == "dead"
    assert len(office.notices("alice")) == 2


def test_requeue_wakes_a_parked_open(office: FakeOffice, bob: Caller, dead: str) -> None:
    """[P02] DESIGN 5.8: in the same commit."""
    waiting = office.park_open(bob)
    office.requeue(dead)
    assert not waiting.waits


def test_requeue_finds_room_in_a_full_inbox(office: FakeOffice, dead: str) -> None:
    """DESIGN 5.14: it is the operator's act, and counts."""
    office.rules = Rules(Limits(inbox_messages=1))
    office.send(OWN, "bob")
    office.requeue(dead)
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'bob'")["inbox_messages"] == 2


def test_only_dead_letters_are_requeued(office: FakeOffice, bob: Caller, dead: str) -> None:
    """DESIGN 5: terminal states change only by this, and only from dead."""
    ready = office.send(OWN, "bob").id
    for wrong in (ready, "m99", "nonsense"):
        refused(office, Unknown, lambda wrong=wrong: office.requeue(dead, wrong))
    office.close(bob, office.opened(bob).id)
    refused(office, Unknown, lambda: office.requeue(ready))
    office.requeue(dead)
    refused(office, Unknown, lambda: office.requeue(dead))


def test_one_copy_of_a_broadcast_can_be_requeued(office: FakeOffice, bob: Caller, carol: Caller) -> None:
    """DESIGN 5.9: by its recipient; each id once, however often it is named."""
    message = office.send(OWN, "*").id
    die(office, bob)
    die(office, carol)
    assert office.requeue(message, message, recipient="bob").changed == [f"{message}/bob"]
    assert (office.state(message, "bob"), office.state(message, "carol")) == ("ready", "dead")
    refused(office, Unknown, lambda: office.requeue(message, recipient="bob"))


def test_mail_of_a_removed_agent_is_requeued_only_when_it_is_back(office: FakeOffice) -> None:
    """DESIGN 5.18: nobody would ever take it."""
    office.send(OWN, "bob")
    office.remove("bob")
    error = refused(office, Conflict, lambda: office.requeue("m1"))
    assert "add the agent again" in error.message


def test_a_retried_requeue_changes_nothing(office: FakeOffice, bob: Caller, dead: str) -> None:
    """DESIGN 4: by its key, also after the letter died again."""
    first = office.requeue(dead, key="k")
    die(office, bob)
    assert office.requeue(dead, key="k") == first
    assert office.state(dead, "bob") == "dead"


# --- discard ----------------------------------------------------------------------------------------


def test_a_discarded_letter_is_off_the_list_and_stays_dead(office: FakeOffice, dead: str) -> None:
    """DESIGN 5: terminal states never change; it can no longer be requeued."""
    assert office.discard(dead).changed == [f"{dead}/bob"]
    row = office.delivery(dead, "bob")
    assert (row["state"], row["discarded_at"]) == ("dead", office.clock.now_ms())
    refused(office, Unknown, lambda: office.discard(dead))
    refused(office, Unknown, lambda: office.requeue(dead))


def test_requeue_and_discard_are_audited_for_each_letter(office: FakeOffice, bob: Caller, dead: str) -> None:
    """DESIGN 5: who, what and for whom; the story of the message shows it."""
    office.requeue(dead)
    die(office, bob)
    office.discard(dead)
    rows = office.rows("SELECT principal, action, subject, detail FROM audit WHERE subject = :id", id=dead)
    assert [tuple(row) for row in rows] == [
        ("operator", "message.requeued", dead, '{"recipient": "bob"}'),
        ("operator", "message.discarded", dead, '{"recipient": "bob"}'),
    ]
