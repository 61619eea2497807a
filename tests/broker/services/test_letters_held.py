"""Held mail: listed, released once, or discarded; each act is audited."""

import pytest

from broker.services import leasing, views
from broker.services.callers import Caller, Rules
from tests.broker.services.refusals import refused
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Conflict, Unknown
from wire.inbox import InboxList, InboxPeek
from wire.letters import InboxHeld
from wire.settings import AgentSettings, Limits, Settings
from wire.turns import MAX_RESTARTS

OWN = by_token("alice")
NOT_TEXT = "UPDATE messages SET body = CAST(x'c3ff28' AS TEXT) WHERE id = :id"


@pytest.fixture
def held(office: FakeOffice, bob: Caller) -> str:
    """A letter of bob to carol that the storm guard holds; bob's turn is open."""
    office.rules = Rules(Limits(storm_depth=2))
    office.send(OWN, "bob")
    office.opened(bob)
    sent = office.send(bob, "carol")
    assert office.state(sent.id, "carol") == "held"
    return sent.id


@pytest.fixture
def damaged(office: FakeOffice, carol: Caller) -> str:
    """A letter of alice to carol that was damaged on disk and held."""
    message = office.send(OWN, "carol").id
    office.damage(NOT_TEXT, id=int(message[1:]))
    assert office.open(carol) is None
    return message


# --- the list ---------------------------------------------------------------------------------------


async def test_held_mail_is_listed_with_its_reason(office: FakeOffice, held: str, damaged: str) -> None:
    """[P05] [H22] DESIGN 5.15: of all inboxes or one; a broken row shows as broken and empties no list."""
    async with office.reading() as reader:
        both = await views.list_held(reader, InboxHeld())
        none = await views.list_held(reader, InboxHeld(agent="alice"))
        rest = await views.list_held(reader, InboxHeld(after=held))
        inbox = await views.list_inbox(reader, OPERATOR_CALLER, InboxList(agent="carol"))
    assert [(item.id, item.sender, item.recipient, item.state, item.broken) for item in both.items] == [
        (held, "bob", "carol", "held", False),
        (damaged, "alice", "carol", "held", True),
    ]
    assert (both.items[0].reason or "").startswith("storm: ")
    assert (both.items[1].reason, both.items[1].body) == (leasing.BROKEN, "")
    assert none.items == []
    assert [item.id for item in rest.items] == [damaged]
    assert {item.id: item.broken for item in inbox.items} == {held: False, damaged: True}


async def test_a_page_does_not_cut_a_broadcast_in_two(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 6: the next page begins behind a message, so none of its copies may be left behind."""
    office.rules = Rules(Limits(storm_depth=2))
    office.send(OWN, "bob")
    office.opened(bob)
    office.send(bob, "carol")
    office.send(bob, "*")
    async with office.reading() as reader:
        first = await views.list_held(reader, InboxHeld(limit=3))
        rest = await views.list_held(reader, InboxHeld(limit=3, after=first.items[-1].id))
    assert ([item.id for item in first.items], first.more) == (["m2"], True)
    assert ([item.recipient for item in rest.items], rest.more) == (["alice", "boss", "carol"], False)


async def test_a_damaged_note_beside_a_letter_keeps_nobody_asleep(office: FakeOffice, carol: Caller) -> None:
    """[P09] [H22] DESIGN 5: the words are whole, so they are handed over and listed."""
    message = office.send(OWN, "carol", "whole").id
    office.damage("UPDATE messages SET about = '{broken'")
    async with office.reading() as reader:
        page = await views.list_inbox(reader, OPERATOR_CALLER, InboxList(agent="carol"))
        peeked = await views.peek(reader, by_token("carol"), InboxPeek(), office.clock.now_ms())
    (mail,) = office.opened(carol).mail
    assert [item.id for item in page.items] == [message]
    assert [(one.id, one.about) for one in (*peeked.mail, mail)] == [(message, None)] * 2
    assert mail.body == "whole"


# --- release ----------------------------------------------------------------------------------------


def test_a_released_letter_goes_on_under_its_id(office: FakeOffice, carol: Caller, held: str) -> None:
    """[P05] DESIGN 5.8: at a new place, as new, counted again; whoever waits for it wakes."""
    waiting = office.park_open(carol)
    assert office.release(held).changed == [f"{held}/carol"]
    assert not waiting.waits
    opened = waiting.get()
    assert opened is not None
    assert opened.turn is not None
    assert [mail.id for mail in opened.turn.mail] == [held]
    row = office.delivery(held, "carol")
    assert (row["attempt"], row["reason"], row["settled_at"]) == (1, None, None)
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'carol'")["inbox_messages"] == 1
    assert office.close(carol, opened.turn.id).acked == [held]


def test_a_letter_held_by_restarts_gets_fresh_ones(office: FakeOffice, carol: Caller) -> None:
    """DESIGN 5.5: the operator lets it try again, from nought."""
    message = office.send(OWN, "carol").id
    office.damage("UPDATE deliveries SET restarts = :n, failures = 2, alone = 1", n=MAX_RESTARTS - 1)
    office.opened(carol)
    office.pass_time(60)
    assert office.state(message, "carol") == "held"
    office.release(message)
    row = office.delivery(message, "carol")
    assert (row["state"], row["restarts"], row["failures"], row["alone"]) == ("ready", 0, 0, 0)


def test_releasing_twice_is_refused_and_says_where_it_is(office: FakeOffice, carol: Caller, held: str) -> None:
    """[P05] Bad input: the second operator learns that the first was quicker; nothing is changed."""
    first = office.release(held, key="k")
    assert "it is queued for carol" in refused(office, Conflict, lambda: office.release(held)).message
    turn = office.opened(carol)
    assert f"it is in turn {turn.id} for carol" in refused(office, Conflict, lambda: office.release(held)).message
    office.close(carol, turn.id)
    assert f"it is handled in turn {turn.id}" in refused(office, Conflict, lambda: office.release(held)).message
    before = office.contents()
    assert office.release(held, key="k") == first
    assert office.contents() == before


def test_what_is_no_message_cannot_be_released(office: FakeOffice, held: str) -> None:
    """Bad input: and nothing of the request is done."""
    for wrong in ("m99", "t1", "nonsense"):
        refused(office, Unknown, lambda wrong=wrong: office.release(held, wrong))
    refused(office, Unknown, lambda: office.release(held, recipient="alice"))
    refused(office, Conflict, lambda: office.release("m1"))


def test_a_damaged_letter_cannot_be_released(office: FakeOffice, damaged: str) -> None:
    """[P09] DESIGN 5: it would be held again; it can be discarded."""
    error = refused(office, Conflict, lambda: office.release(damaged))
    assert "is damaged" in error.message
    assert "discard it" in error.message
    assert office.discard(damaged).changed == [f"{damaged}/carol"]


def test_one_held_copy_of_a_broadcast_can_be_released(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.15: by its recipient; without one, all that are held."""
    office.rules = Rules(Limits(storm_depth=2))
    office.send(OWN, "bob")
    office.opened(bob)
    message = office.send(bob, "*").id
    assert office.release(message, recipient="alice").changed == [f"{message}/alice"]
    refused(office, Conflict, lambda: office.release(message, recipient="alice"))
    assert office.release(message, message).changed == [f"{message}/boss", f"{message}/carol"]


def test_mail_to_a_stopped_agent_may_be_released(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 10: it waits until the agent is part of the fleet again."""
    office.apply(Settings(agents={"dora": AgentSettings()}, limits=Limits(storm_depth=2)))
    office.send(OWN, "bob")
    office.opened(bob)
    message = office.send(bob, "dora").id
    office.apply(Settings(limits=Limits(storm_depth=2)))
    office.release(message)
    assert office.state(message, "dora") == "ready"


def test_held_mail_of_a_removed_agent_is_dead(office: FakeOffice, held: str) -> None:
    """DESIGN 5.18: like all its waiting mail; there is nothing left to release."""
    office.remove("carol")
    assert "it is dead for carol" in refused(office, Conflict, lambda: office.release(held)).message


def test_a_full_inbox_takes_what_is_released(office: FakeOffice, held: str) -> None:
    """DESIGN 5.14: it is the operator's act, and counts."""
    office.rules = Rules(Limits(inbox_messages=1))
    office.send(OWN, "carol")
    office.release(held)
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'carol'")["inbox_messages"] == 2


# --- discard ----------------------------------------------------------------------------------------


def test_held_mail_that_is_discarded_is_dead_and_off_every_list(office: FakeOffice, held: str) -> None:
    """[P05] DESIGN 5.15: explainable still, with what held it; neither released nor requeued any more."""
    assert office.discard(held).changed == [f"{held}/carol"]
    row = office.delivery(held, "carol")
    now = office.clock.now_ms()
    assert (row["state"], row["settled_at"], row["discarded_at"]) == ("dead", now, now)
    assert row["reason"].startswith("discarded by the operator; it was held: storm: ")
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'carol'")["inbox_messages"] == 0
    refused(office, Unknown, lambda: office.discard(held))
    refused(office, Unknown, lambda: office.requeue(held))
    refused(office, Conflict, lambda: office.release(held))


def test_release_and_discard_are_audited_for_each_letter(office: FakeOffice, bob: Caller, held: str) -> None:
    """DESIGN 5: who, what and for whom."""
    other = office.send(bob, "carol").id
    office.release(held)
    office.discard(other)
    assert office.audited()[-2:] == [
        ("operator", "message.released", held),
        ("operator", "message.discarded", other),
    ]


async def test_the_account_adds_up_whatever_becomes_of_it(office: FakeOffice, bob: Caller, held: str) -> None:
    """[P01] DESIGN 5: held, dead or handled, none is lost."""
    other = office.send(bob, "carol").id
    office.send(bob, "*")
    for act in (lambda: None, lambda: office.release(held), lambda: office.discard(other)):
        act()
        async with office.reading() as reader:
            account, _ = await views.account(reader)
        assert account.lost == 0
    assert (account.held, account.dead) == (3, 1)
