"""What was asked and not answered is in every later wake, of a harness and of a session."""

from broker.services.ask_rows import EXCERPT_CHARACTERS, excerpt
from broker.services.callers import Caller
from tests.fakes import asks
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.asks import SHOWN_OPEN, OpenAsk

OWN = by_token("alice")


def shown(open_asks: list[OpenAsk]) -> list[str]:
    """Give which asks are shown."""
    return [ask.id for ask in open_asks]


def test_handling_the_mail_does_not_close_the_ask(office: FakeOffice, bob: Caller) -> None:
    """[H08] DESIGN 5 Asks: its own mail speaks for itself; from the next wake on it is listed until it is answered."""
    asked = asks.ask(office, OWN, question="Which\npump? " + "x" * 300)
    asks.ask(office, OWN, "operator")
    first = office.opened(bob)
    assert shown(first.open_asks) == []
    office.close(bob, first.id)
    office.send(OWN, "bob")
    later = office.opened(bob)
    assert later.open_asks == [
        OpenAsk(
            id="a1", asker="alice", kind="question", excerpt=excerpt("Which pump? " + "x" * 300),
            deadline_at_ms=asked.deadline_at_ms,
        )
    ]  # fmt: skip
    assert office.resume(bob, later.id).turn == office.opened(bob)
    assert shown(office.opened(bob).open_asks) == ["a1"]
    office.close(bob, later.id)
    asks.answer(office, bob, "a1")
    office.send(OWN, "bob")
    assert shown(office.opened(bob).open_asks) == []


def test_a_question_that_died_or_waits_again(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5 Asks: dead mail leaves an open ask, which is listed; mail that is given back is not, it comes again."""
    asks.ask(office, OWN)
    office.close(bob, office.opened(bob).id, "interrupted")
    assert shown(office.opened(bob).open_asks) == []
    for _ in range(5):
        office.close(bob, office.opened(bob).id, "crashed")
        office.pass_time(600)
    assert office.state("m1", "bob") == "dead"
    office.send(OPERATOR_CALLER, "bob")
    assert shown(office.opened(bob).open_asks) == ["a1"]


def test_a_carried_turn_lists_them_too(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: where it is composed anew, nothing is missing."""
    asks.ask(office, OWN)
    office.send(OWN, "bob")
    closed = office.close(bob, office.opened(bob).id, carry=["m2"])
    assert closed.next is not None
    assert shown(closed.next.open_asks) == ["a1"]


def test_a_letter_whose_ask_is_damaged_is_a_letter_like_any_other(office: FakeOffice, bob: Caller) -> None:
    """[H22]: it neither stops the batch nor the listing; the ask is in the list."""
    for _ in range(3):
        asks.ask(office, OWN)
    office.damage("UPDATE messages SET about = '{\"ask\"' WHERE id = 1")
    office.damage("UPDATE messages SET about = CAST(x'c3ff28' AS TEXT) WHERE id = 2")
    mail = office.opened(bob).mail
    assert [message.about is None for message in mail] == [True, True, False]


def test_the_most_urgent_are_shown_and_no_more_than_fit(office: FakeOffice, bob: Caller) -> None:
    """Ours: the rest is in the list."""
    for number in range(SHOWN_OPEN + 3):
        asks.ask(office, OWN, ttl_s=1000.0 - number)
    office.close(bob, office.opened(bob).id)
    office.send(OWN, "bob")
    assert shown(office.opened(bob).open_asks) == [f"a{number}" for number in range(13, 3, -1)]


def test_a_session_is_told_when_its_turn_opens(office: FakeOffice) -> None:
    """DESIGN 5.4: with the first mail that it takes, also where that answer was lost; not with each that follows."""
    session = office.session("bob")
    asks.ask(office, OWN)
    assert shown(office.taken(session).open_asks) == []
    office.settle(session)
    office.send(OWN, "bob")
    office.send(OWN, "bob")
    taken = office.take(session, name="once")
    assert taken is not None
    assert shown(taken.open_asks) == ["a1"]
    assert office.take(session, name="once") == taken
    assert shown(office.taken(session).open_asks) == []


def test_an_excerpt_is_one_line() -> None:
    """Ours: whatever the question looks like."""
    assert excerpt("a\n\n b\tc") == "a b c"
    assert excerpt("x" * EXCERPT_CHARACTERS) == "x" * EXCERPT_CHARACTERS
    assert len(excerpt("x" * 5000)) == EXCERPT_CHARACTERS
    assert len(excerpt(" " * 400 + "x" * 400)) <= EXCERPT_CHARACTERS
    assert excerpt("x " + " " * 1000 + "y") == "x…"
