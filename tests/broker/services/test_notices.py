"""Notices: mail from `system`, with room of its own, that causes no further notice; many of one cause are one."""

import pytest

from broker.services import notices
from broker.services.callers import OPERATOR, Caller, Rules
from broker.store.tx import Tx
from tests.fakes.office import FakeOffice, by_token
from wire.errors import Internal
from wire.settings import Limits

CAUSE = "test:pump"
OWN = by_token("alice")


def tell(office: FakeOffice, text: str, *, to: str = "bob", cause: str = CAUSE) -> str | None:
    """Tell somebody something."""
    return office.do(lambda tx: notices.tell(tx, to, text, cause=cause))


def test_a_notice_is_a_letter_of_the_system(office: FakeOffice, bob: Caller) -> None:
    """[P12] DESIGN 5, Provenance: kind, sender and depth are the broker's own."""
    told = tell(office, "the pump was mended")
    (mail,) = office.opened(bob).mail
    assert (mail.id, mail.sender, mail.kind, mail.depth) == (told, "system", "system", 0)
    assert mail.body == "the pump was mended"


def test_a_notice_goes_first_and_needs_no_room(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8, 5.14: before mail of peers; reserved headroom, and it counts."""
    office.rules = Rules(Limits(inbox_messages=1))
    office.send(OWN, "bob")
    tell(office, "first")
    assert [mail.id for mail in office.opened(bob).mail] == ["m2", "m1"]
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'bob'")["inbox_messages"] == 2


def test_a_notice_wakes_a_parked_open(office: FakeOffice, bob: Caller) -> None:
    """[P02] DESIGN 5.2: it is mail."""
    waiting = office.park_open(bob)
    tell(office, "wake")
    assert not waiting.waits


def test_a_notice_is_gone_with_the_command_that_wrote_it(office: FakeOffice) -> None:
    """DESIGN 6: it belongs to the same transaction, and so does what waits."""
    tell(office, "said", to=OPERATOR)
    before = office.contents()

    def fails(tx: Tx) -> None:
        notices.tell(tx, OPERATOR, "never said", cause="test:other")
        notices.tell(tx, OPERATOR, "never said", cause=CAUSE)
        raise AssertionError("a defect of ours")

    with pytest.raises(Internal):
        office.do(fails)
    assert office.contents() == before


def test_the_system_is_told_nothing(office: FakeOffice) -> None:
    """[P05] DESIGN 5.9: a notice about a notice would have no end."""
    before = office.contents()
    office.do(lambda tx: notices.tell_of_dead(tx, "bob", {"system": [1]}, "it died"))
    assert office.contents() == before


def test_the_operator_is_told_what_is_held(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: held mail waits for a person, so a person has to know."""
    office.send(OWN, "bob")
    office.damage("UPDATE messages SET body = 'other'")
    assert office.open(bob) is None
    (notice,) = office.notices("operator")
    assert "m1 to bob is held" in notice


# --- merging ----------------------------------------------------------------------------------------


def test_the_first_goes_out_at_once_and_the_rest_of_its_minute_as_one(office: FakeOffice) -> None:
    """[P05] DESIGN 5.14: one for each reader and cause in a minute; no text is lost."""
    for number in range(5):
        tell(office, f"text {number}")
        office.pass_time(5)
    assert office.notices("bob") == ["text 0"]
    office.pass_time(34)
    assert office.notices("bob") == ["text 0"]
    office.pass_time(1)
    assert office.notices("bob")[1:] == ["4 notices in one:\n- text 1\n- text 2\n- text 3\n- text 4"]
    office.pass_time(3600)
    assert len(office.notices("bob")) == 2


def test_a_merged_notice_begins_a_minute_of_its_own(office: FakeOffice) -> None:
    """DESIGN 5.14: a flood of days is one notice a minute."""
    for number in range(300):
        tell(office, f"text {number}")
        office.pass_time(1)
    assert len(office.notices("bob")) == 6


def test_one_that_waited_alone_comes_as_it_is(office: FakeOffice) -> None:
    """Ours: with the message that it is about."""
    office.send(OWN, "carol")
    tell(office, "first")
    office.do(lambda tx: notices.tell(tx, "bob", "second", cause=CAUSE, about=1))
    office.pass_time(60)
    assert office.notices("bob") == ["first", "second"]
    assert office.row("SELECT in_reply_to FROM messages WHERE body = 'second'")["in_reply_to"] == 1


def test_other_readers_and_other_causes_do_not_wait(office: FakeOffice) -> None:
    """DESIGN 5.14: what is merged is of one cause, for one reader."""
    tell(office, "a")
    tell(office, "b", cause="test:other")
    tell(office, "c", to="carol")
    assert office.notices("bob") == ["a", "b"]
    assert office.notices("carol") == ["c"]


def test_a_merged_notice_has_an_end(office: FakeOffice) -> None:
    """DESIGN 5.14: twenty are spelled out, the others are counted."""
    for number in range(40):
        tell(office, f"text {number}")
    office.pass_time(60)
    lines = office.notices("bob")[1].split("\n")
    assert lines[0] == "39 notices in one:"
    assert lines[1:21] == [f"- text {number}" for number in range(1, 21)]
    assert lines[21:] == ["(+19 more)"]


def test_what_waits_has_a_due_instant_and_wakes_its_reader(office: FakeOffice, bob: Caller) -> None:
    """[P02] DESIGN 5.8: the timer rings for it, a parked open gets it."""
    tell(office, "first")
    office.close(bob, office.opened(bob).id)
    waiting = office.park_open(bob)
    tell(office, "second")
    assert waiting.waits
    assert office.last.due_ms == office.clock.now_ms() + notices.MERGE_MS
    office.pass_time(60)
    assert not waiting.waits


def test_what_waits_outlives_a_restart(office: FakeOffice) -> None:
    """[P01] DESIGN 5.14: it is in the database; overdue, it goes out at once."""
    tell(office, "first")
    tell(office, "second")
    office.restart()
    office.due()
    assert office.notices("bob") == ["first"]
    office.clock.advance(3_600_000)
    office.restart()
    office.due()
    assert office.notices("bob") == ["first", "second"]


@pytest.mark.parametrize("step_s", [-90 * 24 * 3600, -30, 30, 90 * 24 * 3600])
def test_a_clock_that_was_set_neither_hurries_nor_delays_it(office: FakeOffice, step_s: int) -> None:
    """DESIGN 5.8: it waits for the rest of its minute."""
    tell(office, "first")
    tell(office, "second")
    office.pass_time(20)
    office.set_clock(step_s * 1000)
    office.pass_time(39)
    assert office.notices("bob") == ["first"]
    office.pass_time(1)
    assert office.notices("bob") == ["first", "second"]


def test_a_clock_that_was_set_back_between_two_starts_does_not_silence_a_cause(office: FakeOffice) -> None:
    """DESIGN 5.8: a minute at most, as nobody knows how much of it has passed."""
    tell(office, "first")
    tell(office, "second")
    office.clock.step_wall(-7 * 24 * 3_600_000)
    office.clock.re_anchor()
    office.restart()
    office.pass_time(60)
    assert office.notices("bob") == ["first", "second"]
    office.pass_time(60)
    tell(office, "third")
    assert office.notices("bob")[2:] == ["third"]


def test_a_reader_that_was_removed_is_told_nothing_more(office: FakeOffice) -> None:
    """DESIGN 5.18: nothing is put into an inbox that nobody reads."""
    tell(office, "first")
    tell(office, "second")
    office.remove("bob")
    office.pass_time(60)
    assert office.notices("bob") == ["first"]
    assert office.rows("SELECT * FROM merged_notices WHERE recipient = 'bob'") == []
    (logged,) = office.logged("notice_dropped")
    assert logged["cause"] == CAUSE


@pytest.mark.parametrize("restart", [False, True])
def test_five_dead_letters_of_a_minute_are_two_notices(office: FakeOffice, bob: Caller, restart: bool) -> None:
    """[P01] DESIGN 5.9, 5.14: to the sender and to the manager; every one of the five is named."""
    for _ in range(5):
        office.send(OWN, "bob")
        office.damage("UPDATE deliveries SET failures = 4 WHERE state = 'ready'")
        office.close(bob, office.opened(bob).id, "crashed")
        office.pass_time(5)
    if restart:
        office.restart()
    office.pass_time(60)
    for reader in ("alice", "boss"):
        first, rest = office.notices(reader)
        assert first.startswith("m1 to bob could not be handled")
        named = [line.split(" ")[1] for line in rest.split("\n")[1:]]
        dead = [f"m{row['message']}" for row in office.rows("SELECT * FROM deliveries WHERE state = 'dead' ORDER BY 1")]
        assert ["m1", *named] == dead


def test_what_waits_and_was_damaged_stops_nothing(office: FakeOffice, bob: Caller) -> None:
    """[P09] Bad input: a broken row shows as broken; leases and reminders that are due beside it go on."""
    first = tell(office, "one")
    assert tell(office, "two") is None
    office.damage("UPDATE merged_notices SET waiting = '{'")
    assert tell(office, "three") is None
    office.pass_time(61)
    bodies = [mail.body for mail in office.opened(bob).mail]
    assert first is not None
    assert bodies[0] == "one"
    assert "[broken: a notice that waited here cannot be read]" in bodies[1]
    assert "three" in bodies[1]
