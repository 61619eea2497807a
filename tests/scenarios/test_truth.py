"""The store is asked the right questions: harm that is done to it by hand is found, and nothing where there is none."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mcp_tools.rendering import render_mail
from tests.fakes.office import OPERATOR_CALLER, FakeOffice
from tests.scenarios.truth import Store, told
from wire.inbox import Mail

HARM = {
    "UPDATE turns SET outcome = 'interrupted'": "m1 counts as handled by bob, and no turn with it was finished",
    "UPDATE turns SET state = 'open', outcome = NULL, closed_at = NULL WHERE id = 2": "t2 of bob never ended",
    "UPDATE deliveries SET attempt = 7": "m1 counts as handled by bob, and no turn with it was finished",
    "UPDATE deliveries SET state = 'ready'": "m1 is ['ready']",
    "DELETE FROM deliveries WHERE message = 1": "m1 is nowhere",
    "UPDATE deliveries SET state = 'leased' WHERE message = 1": "m1 is leased to nobody",
    "INSERT INTO messages (sender, key, kind, body, body_sha256, addressed_to, sent_at, in_reply_to)"
    " SELECT sender, 'other', kind, body, body_sha256, addressed_to, sent_at, in_reply_to FROM messages"
    " WHERE in_reply_to IS NOT NULL": "m1 was answered twice by bob",
}


@pytest.fixture
def store(tmp_path: Path) -> tuple[Path, Mail]:
    """A store in which a message was handled at its second attempt; and that message, as it was then handed over."""
    with FakeOffice(tmp_path) as office:
        office.add("bob")
        bob = office.harness("bob")
        office.send(OPERATOR_CALLER, "bob", "do it")
        turn = office.opened(bob)
        office.send(bob, "operator", "begun", in_reply_to="m1")
        office.close(bob, turn.id, "interrupted")
        again = office.opened(bob)
        office.close(bob, again.id)
        return tmp_path / "broker.db", again.mail[0]


def harm(database: Path, sql: str) -> None:
    """Change the store behind everybody's back."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(sql)
        connection.commit()


@pytest.mark.parametrize(("sql", "found"), HARM.items())
def test_harm_is_found(store: tuple[Path, Mail], sql: str, found: str) -> None:
    """Reliability 5: every gate has a control that must fail."""
    database, _ = store
    assert Store(database).wrong(["m1"]) == []
    harm(database, sql)
    assert found in Store(database).wrong(["m1"])


def test_a_prompt_says_what_the_store_knows(store: tuple[Path, Mail]) -> None:
    """DESIGN 5.10: attempt and list are read out of the words of a prompt, and of no other message's."""
    database, mail = store
    prompt = f"Before.\n{render_mail(mail, '0' * 10)}\nBehind."
    assert told(prompt, "m1") == (2, {"m2"})
    assert Store(database).already_sent("m1", "bob") == {"m2"}
    assert told(prompt, "m2") == (1, set())
    assert told(prompt.replace("m1", "m11"), "m1") == (1, set())
