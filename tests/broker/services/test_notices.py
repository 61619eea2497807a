"""Notices: mail from `system`, with room of its own, that causes no further notice."""

import pytest

from broker.services import notices
from broker.services.callers import OPERATOR, Caller, Rules
from broker.store.tx import Tx
from tests.fakes.office import FakeOffice, by_token
from wire.errors import Internal
from wire.settings import Limits


def test_a_notice_is_a_letter_of_the_system(office: FakeOffice, bob: Caller) -> None:
    """[P12] DESIGN 5, Provenance: kind, sender and depth are the broker's own."""
    told = office.do(lambda tx: notices.tell(tx, "bob", "the pump was mended"))
    (mail,) = office.opened(bob).mail
    assert (mail.id, mail.sender, mail.kind, mail.depth) == (told, "system", "system", 0)
    assert mail.body == "the pump was mended"


def test_a_notice_goes_first_and_needs_no_room(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8, 5.14: before mail of peers; reserved headroom, and it counts."""
    office.rules = Rules(Limits(inbox_messages=1))
    office.send(by_token("alice"), "bob")
    office.do(lambda tx: notices.tell(tx, "bob", "first"))
    assert [mail.id for mail in office.opened(bob).mail] == ["m2", "m1"]
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'bob'")["inbox_messages"] == 2


def test_a_notice_wakes_a_parked_open(office: FakeOffice, bob: Caller) -> None:
    """[P02] DESIGN 5.2: it is mail."""
    waiting = office.park_open(bob)
    office.do(lambda tx: notices.tell(tx, "bob", "wake"))
    assert not waiting.waits


def test_a_notice_is_gone_with_the_command_that_wrote_it(office: FakeOffice) -> None:
    """DESIGN 6: it belongs to the same transaction."""
    before = office.contents()

    def fails(tx: Tx) -> None:
        notices.tell(tx, OPERATOR, "never said")
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
    office.send(by_token("alice"), "bob")
    office.damage("UPDATE messages SET body = 'other'")
    assert office.open(bob) is None
    (notice,) = office.notices("operator")
    assert "m1 to bob is held" in notice
