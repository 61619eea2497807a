"""The index of the search: filled in small commands, forgiving of damage, made anew when most of it is dead."""

import pytest

from broker.services import indexing, retention
from broker.services.callers import Caller
from tests.fakes.office import FakeOffice, by_token
from wire.settings import RetentionSettings

OWN = by_token("alice")
NOT_TEXT = "UPDATE messages SET body = CAST(x'c3ff28' AS TEXT) WHERE id = :id"


def matching(office: FakeOffice, word: str) -> list[int]:
    """Give the rows of the index that hold a word."""
    rows = office.rows("SELECT rowid FROM message_search WHERE message_search MATCH :word ORDER BY rowid", word=word)
    return [row["rowid"] for row in rows]


def indexed_to(office: FakeOffice) -> int:
    """Give how far the index goes."""
    return office.row("SELECT indexed_to FROM fleet")["indexed_to"]


def stale(office: FakeOffice) -> bool:
    """Say whether the index is mostly dead."""
    return indexing.is_stale(office.do(lambda tx: tx.all("finding.index_state"))[0])


def test_a_command_indexes_so_many_messages_at_most(office: FakeOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 3.5: what others want runs between two of them; each message goes in once."""
    monkeypatch.setattr(indexing, "CHUNK_MESSAGES", 2)
    for number in range(5):
        office.send(OWN, "bob", f"pump {number}")
    assert [office.do(indexing.index_some) for _ in range(4)] == [2, 4, 5, 0]
    assert matching(office, "pump") == [1, 2, 3, 4, 5]
    assert indexed_to(office) == 5


def test_a_command_indexes_so_many_bytes_at_most(office: FakeOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: long bodies hold the writer up no longer than short ones; one longer than all still goes in."""
    monkeypatch.setattr(indexing, "CHUNK_BYTES", 10)
    for body in ("short", "longer than ten", "end"):
        office.send(OWN, "bob", body)
    assert [office.do(indexing.index_some) for _ in range(3)] == [2, 3, 0]


def test_a_damaged_body_is_indexed_as_empty(office: FakeOffice) -> None:
    """[H22] Issue 3.5: neither a wrong checksum nor bytes that are no text stop the index."""
    for body in ("pump one", "pump two", "pump three"):
        office.send(OWN, "bob", body)
    office.damage(NOT_TEXT, id=1)
    office.damage("UPDATE messages SET body = 'another pump' WHERE id = 2")
    assert office.do(indexing.index_some) == 3
    assert matching(office, "pump") == [3]


def test_an_index_that_is_mostly_of_deleted_mail_is_made_anew(
    office: FakeOffice, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 5.19: retention takes messages; what is left of their words goes when it outweighs the rest."""
    monkeypatch.setattr(indexing, "FORGOTTEN_MIN", 3)
    for number in range(10):
        office.send(bob, "operator", f"pump {number}")
    office.do(indexing.index_some)
    assert not stale(office)
    office.damage("DELETE FROM deliveries WHERE message <= 5")
    office.damage("DELETE FROM messages WHERE id <= 5")
    assert not stale(office)
    office.damage("DELETE FROM deliveries WHERE message <= 8")
    office.damage("DELETE FROM messages WHERE id <= 8")
    assert stale(office)
    office.do(indexing.begin_anew)
    assert (matching(office, "pump"), indexed_to(office)) == ([], 0)
    assert office.do(indexing.index_some) == 10
    assert matching(office, "pump") == [9, 10]
    assert not stale(office)


def test_retention_and_the_index_agree(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.19: SQLite calls an index malformed that is asked to give back other words than it got."""
    for number in range(6):
        office.send(OWN, "bob", f"pump {number}")
    office.damage(NOT_TEXT, id=1)
    office.do(indexing.index_some)
    office.send(OWN, "bob", "pump 6")
    office.damage("UPDATE messages SET body = 'much longer words than those that had been put into it' WHERE id = 2")
    office.damage("UPDATE deliveries SET state = 'acked', settled_at = 1 WHERE message IN (1, 2, 3, 7)")
    assert not office.do(lambda tx: retention.forget_mail(tx, RetentionSettings()))
    assert [row["id"] for row in office.rows("SELECT id FROM messages ORDER BY id")] == [4, 5, 6]
    assert matching(office, "pump") == [2, 4, 5, 6]
    office.send(OWN, "bob", "pump 7")
    assert office.do(indexing.index_some) == 8
    office.damage("INSERT INTO message_search (message_search) VALUES ('integrity-check')")


def test_an_empty_post_office_has_an_index_too(office: FakeOffice) -> None:
    """Ours: nothing to do, nothing stale."""
    assert office.do(indexing.index_some) == 0
    assert not stale(office)
