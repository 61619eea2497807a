"""Recall: what nobody has leased is taken back; the rest is listed."""

import pytest

from broker.services import recall, views
from broker.services.callers import Caller, Rules
from tests.broker.services.refusals import refused
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Conflict, Denied, Stale, Unknown
from wire.letters import Beyond
from wire.settings import Limits

OWN = by_token("alice")


def counters(office: FakeOffice, name: str) -> tuple[int, int]:
    """Give the quota counters of a mailbox."""
    row = office.row("SELECT inbox_messages, inbox_bytes FROM agents WHERE name = :name", name=name)
    return row["inbox_messages"], row["inbox_bytes"]


def test_a_letter_that_waits_is_taken_back(office: FakeOffice, bob: Caller) -> None:
    """[P05] DESIGN 5.18: dead, off every list, out of the quota; nobody is told."""
    message = office.send(OWN, "bob").id
    told = office.recall(OWN, message)
    assert (told.recalled, told.beyond, told.more) == ([f"{message}/bob"], [], False)
    row, now = office.delivery(message, "bob"), office.clock.now_ms()
    assert (row["state"], row["reason"]) == ("dead", "recalled by alice")
    assert (row["settled_at"], row["discarded_at"]) == (now, now)
    assert counters(office, "bob") == (0, 0)
    assert office.open(bob) is None
    assert office.notices("alice") == office.notices("boss") == []
    refused(office, Unknown, lambda: office.requeue(message))
    refused(office, Conflict, lambda: office.release(message))


def test_unread_mail_of_the_operator_is_taken_back(office: FakeOffice) -> None:
    """DESIGN 5.18: it has no lease; what was read is beyond recall."""
    read, unread = office.send(OWN, "operator").id, office.send(OWN, "operator").id
    office.ack(read)
    assert office.recall(OWN, unread).recalled == [f"{unread}/operator"]
    assert office.recall(OWN, read).beyond == [Beyond(id=read, recipient="operator", state="handled")]
    assert counters(office, "operator") == (0, 0)


def test_held_mail_is_taken_back_without_being_counted_out(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.15: it was not in the quota."""
    office.rules = Rules(Limits(storm_depth=2))
    office.send(OWN, "bob")
    office.opened(bob)
    held = office.send(bob, "carol").id
    office.send(OWN, "carol")
    before = counters(office, "carol")
    assert office.recall(bob, held).recalled == [f"{held}/carol"]
    assert counters(office, "carol") == before
    assert office.held() == {}


def test_what_a_turn_has_had_is_listed_with_where_it_is(office: FakeOffice, bob: Caller, carol: Caller) -> None:
    """[P05] DESIGN 5.18: it cannot be unread."""
    message = office.send(OWN, "*").id
    done = office.opened(bob).id
    office.close(bob, done)
    now = office.opened(carol).id
    told = office.recall(OWN, message)
    assert told.recalled == [f"{message}/boss"]
    assert told.beyond == [
        Beyond(id=message, recipient="bob", state="handled", turn=done),
        Beyond(id=message, recipient="carol", state="in_turn", turn=now),
    ]
    assert office.close(carol, now).acked == [message]


def test_dead_mail_stays_as_it_is(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5: a terminal state never changes; a second recall finds nothing more."""
    message = office.send(OWN, "bob").id
    office.damage("UPDATE deliveries SET failures = 4")
    office.close(bob, office.opened(bob).id, "crashed")
    before = office.delivery(message, "bob")
    assert office.recall(OWN, message).beyond == [Beyond(id=message, recipient="bob", state="dead")]
    assert tuple(office.delivery(message, "bob")) == tuple(before)
    second = office.send(OWN, "bob").id
    office.recall(OWN, second)
    assert office.recall(OWN, second).recalled == []


def test_mail_that_backs_off_is_taken_back_and_frees_what_stood_behind(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8, 5.18: a parked open wakes for it."""
    first = office.send(OWN, "bob").id
    office.close(bob, office.opened(bob).id, "crashed")
    later = office.send(OWN, "bob").id
    waiting = office.park_open(bob)
    assert waiting.waits
    office.recall(OWN, first)
    opened = waiting.get()
    assert opened is not None
    assert opened.turn is not None
    assert [mail.id for mail in opened.turn.mail] == [later]


def test_a_lapsed_turn_whose_mail_was_recalled_is_not_resumed(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7, 5.18: it no longer has what it had."""
    message = office.send(OWN, "bob").id
    turn = office.opened(bob).id
    office.pass_time(60)
    assert office.recall(OWN, message).recalled == [f"{message}/bob"]
    refused(office, Stale, lambda: office.resume(bob, turn))
    refused(office, Stale, lambda: office.close(bob, turn))
    assert office.state(message, "bob") == "dead"


def test_an_agent_recalls_only_what_it_sent(office: FakeOffice) -> None:
    """[P12] DESIGN 4: a foreign id gets the answer of one that does not exist; the operator may take back any."""
    message = office.send(OWN, "bob").id
    foreign = refused(office, Unknown, lambda: office.recall(by_token("bob"), message)).message
    missing = refused(office, Unknown, lambda: office.recall(by_token("bob"), "m99")).message
    assert foreign.replace(message, "m99") == missing
    for wrong in ("t1", "nonsense", "m0"):
        refused(office, Unknown, lambda wrong=wrong: office.recall(OPERATOR_CALLER, wrong))
    assert office.recall(OPERATOR_CALLER, message).recalled == [f"{message}/bob"]
    assert office.delivery(message, "bob")["reason"] == "recalled by the operator"


def test_a_recall_of_the_operator_is_audited_and_one_of_an_agent_logged(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.18: one row with all that was taken back; none where there was nothing."""
    first, second, third = (office.send(OWN, "bob").id for _ in range(3))
    office.recall(OPERATOR_CALLER, first)
    office.recall(OPERATOR_CALLER, first)
    office.recall(OWN, second)
    office.close(bob, office.opened(bob).id)
    office.recall(OPERATOR_CALLER, third)
    rows = office.rows("SELECT principal, subject, detail FROM audit WHERE action = 'message.recalled'")
    assert [tuple(row) for row in rows] == [
        ("operator", first, f'{{"descendants": false, "recalled": ["{first}/bob"]}}')
    ]
    assert [line["principal"] for line in office.logged("message_recalled")] == ["operator", "agent:alice"]


def test_a_retried_recall_gives_the_same_answer(office: FakeOffice) -> None:
    """DESIGN 4: by its key, also when nothing is left to take back."""
    message = office.send(OWN, "bob").id
    first = office.recall(OWN, message, key="k")
    before = office.contents()
    assert office.recall(OWN, message, key="k") == first
    assert office.contents() == before


# --- descendants ------------------------------------------------------------------------------------


def test_descendants_are_what_turns_sent_that_held_it(office: FakeOffice, bob: Caller, carol: Caller) -> None:
    """[P05] DESIGN 5.18: and what turns sent that held those; nothing else."""
    root = office.send(OWN, "bob").id
    office.opened(bob)
    child = office.send(bob, "carol").id
    office.opened(carol)
    grandchild = office.send(carol, "boss").id
    stranger = office.send(by_token("boss"), "alice").id
    told = office.recall(OPERATOR_CALLER, root, descendants=True)
    assert told.recalled == [f"{grandchild}/boss"]
    assert [(one.id, one.state) for one in told.beyond] == [(root, "in_turn"), (child, "in_turn")]
    assert office.state(stranger, "alice") == "ready"


def test_without_descendants_only_the_message_is_taken_back(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.18: what came of it goes on."""
    root = office.send(OWN, "*").id
    office.opened(bob)
    child = office.send(bob, "carol").id
    assert office.recall(OPERATOR_CALLER, root).recalled == [f"{root}/boss", f"{root}/carol"]
    assert office.state(child, "carol") == "ready"


def test_only_the_operator_recalls_descendants(office: FakeOffice) -> None:
    """DESIGN 5.18: they are the mail of others."""
    message = office.send(OWN, "bob").id
    refused(office, Denied, lambda: office.recall(OWN, message, descendants=True))


def test_a_circle_of_causes_has_an_end(office: FakeOffice, bob: Caller) -> None:
    """Ours: a turn that sends and then takes the answer to it."""
    alice = office.harness("alice")
    root = office.send(by_token("carol"), "bob").id
    turn = office.opened(bob).id
    office.send(bob, "alice")
    office.opened(alice)
    answer = office.send(alice, "bob").id
    office.taken(bob, turn)
    last = office.send(bob, "carol").id
    told = office.recall(OPERATOR_CALLER, root, descendants=True)
    assert told.recalled == [f"{last}/carol"]
    assert {one.id for one in told.beyond} == {root, "m2", answer}


def test_a_recall_looks_at_so_many_messages_and_says_when_there_are_more(
    office: FakeOffice, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[P05] DESIGN 5.18: the newest first, as they wait; bounded, and it says so."""
    root = office.send(OWN, "bob").id
    office.opened(bob)
    sent = [office.send(bob, "carol").id for _ in range(30)]
    monkeypatch.setattr(recall, "MOST_MESSAGES", 10)
    told = office.recall(OPERATOR_CALLER, root, descendants=True)
    assert told.more
    assert told.recalled == [f"{message}/carol" for message in sent[-9:]]
    monkeypatch.setattr(recall, "MOST_MESSAGES", 1000)
    assert not office.recall(OPERATOR_CALLER, root, descendants=True).more
    assert set(office.states("carol").values()) == {"dead"}
    assert counters(office, "carol") == (0, 0)


async def test_the_account_still_adds_up(office: FakeOffice, bob: Caller) -> None:
    """[P01] DESIGN 5: recalled is dead, and nothing is lost."""
    office.send(OWN, "*")
    office.send(OWN, "operator")
    office.opened(bob)
    for message in ("m1", "m2"):
        office.recall(OWN, message)
    async with office.reading() as reader:
        account, unread = await views.account(reader)
    assert (account.lost, account.dead, account.waiting, account.mailbox, unread) == (0, 3, 1, 0, 0)
