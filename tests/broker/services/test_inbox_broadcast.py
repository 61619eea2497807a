"""Broadcasts: one transaction over the members of the moment, and everybody who is left out is listed."""

import pytest

from broker.services.callers import Caller, Rules
from tests.broker.services.refusals import refused
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Denied, Full, Unknown
from wire.inbox import Skipped
from wire.settings import AgentSettings, Limits, Settings

OWN = by_token("alice")


def test_a_broadcast_reaches_everyone_but_sender_and_operator(office: FakeOffice) -> None:
    """[H06] DESIGN 5.12: one message, one delivery each, the body stored once."""
    receipt = office.send(OWN, "*", "tea is ready")
    assert (receipt.to, receipt.recipients, receipt.skipped) == ("*", ["bob", "boss", "carol"], [])
    rows = office.rows("SELECT recipient, state FROM deliveries ORDER BY recipient")
    assert [tuple(row) for row in rows] == [("bob", "ready"), ("boss", "ready"), ("carol", "ready")]
    assert office.row("SELECT count(*) AS n FROM messages")["n"] == 1


def test_a_broadcast_of_the_operator_reaches_every_agent(office: FakeOffice) -> None:
    """[H06] DESIGN 5.12: first in line, and past every quota."""
    office.rules = Rules(Limits(inbox_messages=1))
    for _ in range(2):
        receipt = office.send(OPERATOR_CALLER, "*")
        assert receipt.recipients == ["alice", "bob", "boss", "carol"]


def test_a_broadcast_says_so_when_it_is_handed_over(office: FakeOffice, bob: Caller) -> None:
    """[H06] DESIGN 5.12: the flag from which the model is told that it may not need to act."""
    office.send(OWN, "*")
    office.send(OWN, "bob")
    assert [mail.broadcast for mail in office.opened(bob).mail] == [True, False]


def test_membership_is_a_snapshot(office: FakeOffice) -> None:
    """[H06] DESIGN 5.12: who joins later does not get it, who left before does not either."""
    office.remove("carol")
    office.send(OWN, "*")
    office.add("dora")
    office.add("carol")
    assert office.states("dora") == {}
    assert office.states("carol") == {}


def test_membership_is_a_snapshot_within_one_commit(office: FakeOffice) -> None:
    """[H06] DESIGN 5.12: commands of one commit run in their order."""
    calls = [
        office.send.call(OWN, "*", "first"),
        office.add_agent.call("dora", AgentSettings()),
        office.send.call(OWN, "*", "second"),
    ]
    office.commit(*calls)
    assert office.states("dora") == {"m2": "ready"}


def test_a_stopped_agent_is_no_member(office: FakeOffice) -> None:
    """DESIGN 10: it left the file; a paused one is still a member."""
    office.apply(Settings(agents={"dora": AgentSettings()}))
    office.apply(Settings())
    office.pause("bob")
    assert office.send(OWN, "*").recipients == ["bob", "boss", "carol"]


def test_denied_and_full_recipients_are_skipped_and_listed(office: FakeOffice) -> None:
    """[H06] [H07] DESIGN 5.12, 5.16: the allow-list filters the fan-out, a full inbox does not stop the rest."""
    office.add("dora", AgentSettings(allowed_recipients=["alice", "bob"]))
    office.rules = Rules(Limits(inbox_messages=1))
    office.send(OWN, "bob")
    receipt = office.send(by_token("dora"), "*")
    assert receipt.recipients == ["alice", "boss"]
    assert receipt.skipped == [Skipped(name="bob", reason="full"), Skipped(name="carol", reason="denied")]
    assert office.states("bob") == {"m1": "ready"}


def test_the_manager_broadcasts_past_every_list(office: FakeOffice) -> None:
    """[H07] DESIGN 5.16: the manager may write to anyone."""
    office.remove("boss")
    office.add("chief", AgentSettings(role="manager", allowed_recipients=[]))
    assert office.send(by_token("chief"), "*").recipients == ["alice", "bob", "carol"]


def test_a_retried_broadcast_gets_the_first_receipt(office: FakeOffice) -> None:
    """[H06] DESIGN 4: with whom it reached then and whom it skipped, though the fleet has changed."""
    office.add("dora", AgentSettings(allowed_recipients=["alice"]))
    first = office.send(by_token("dora"), "*", "once", in_reply_to="m9", key="k")
    office.add("emil")
    again = office.send(by_token("dora"), "*", "once", in_reply_to="m9", key="k")
    assert again == first.model_copy(update={"duplicate": True})
    assert again.skipped
    assert office.states("emil") == {}


def test_a_broadcast_counts_as_one_send(office: FakeOffice) -> None:
    """DESIGN 5.12: one token of the bucket, whatever the size of the fleet."""
    office.rules = Rules(Limits(send_burst=2))
    office.send(OWN, "*")
    office.send(OWN, "*")
    assert office.row("SELECT bucket FROM agents WHERE name = 'alice'")["bucket"] == pytest.approx(0.0)


def test_a_broadcast_counts_in_every_inbox(office: FakeOffice) -> None:
    """DESIGN 5.14: the quota counters of all whom it reached, and of nobody else."""
    office.add("dora", AgentSettings(allowed_recipients=["alice"]))
    office.send(by_token("dora"), "*")
    rows = office.rows("SELECT name, inbox_messages FROM agents ORDER BY name")
    counted = {row["name"]: row["inbox_messages"] for row in rows}
    assert counted == {"alice": 1, "bob": 0, "boss": 1, "carol": 0, "dora": 0, "operator": 0}


def lonely(office: FakeOffice) -> None:
    """Leave nobody but alice and bob in the fleet."""
    for name in ("carol", "boss"):
        office.remove(name)


def test_a_broadcast_in_an_empty_fleet_is_refused(office: FakeOffice) -> None:
    """[P01] DESIGN 5.1, 5.12: a message that reaches nobody is not accepted."""
    lonely(office)
    office.remove("bob")
    error = refused(office, Unknown, lambda: office.send(OWN, "*"))
    assert "no other agent" in error.message


def test_a_broadcast_that_nobody_may_get_is_denied_with_the_list(office: FakeOffice) -> None:
    """[P01] [H07] DESIGN 5.12: denied recipients are listed, also when there are no others."""
    lonely(office)
    office.add("dora", AgentSettings(allowed_recipients=[]))
    error = refused(office, Denied, lambda: office.send(by_token("dora"), "*"))
    assert error.details["skipped"] == [
        {"name": "alice", "reason": "denied"},
        {"name": "bob", "reason": "denied"},
    ]


def test_a_broadcast_that_finds_no_room_is_refused_as_full(office: FakeOffice) -> None:
    """[P01] DESIGN 5.12, 5.14: the sender learns that waiting helps."""
    lonely(office)
    office.rules = Rules(Limits(inbox_messages=1))
    office.send(OWN, "bob")
    error = refused(office, Full, lambda: office.send(OWN, "*"))
    assert error.details["skipped"] == [{"name": "bob", "reason": "full"}]


def test_a_broadcast_is_of_one_place_in_each_inbox(office: FakeOffice, bob: Caller, carol: Caller) -> None:
    """DESIGN 5.8, 5.12: in order with the sender's other mail, for every recipient."""
    for body in ("one", "two"):
        office.send(OWN, "bob", body)
    office.send(OWN, "*", "all")
    office.send(OWN, "bob", "three")
    assert [mail.body for mail in office.opened(bob).mail] == ["one", "two", "all", "three"]
    assert [mail.body for mail in office.opened(carol).mail] == ["all"]


def test_a_broadcast_wakes_everybody_who_waits(office: FakeOffice, bob: Caller, carol: Caller) -> None:
    """[H02] [H06] DESIGN 5.2: each parked open returns in the commit of the broadcast."""
    waiting = [office.park_open(bob), office.park_open(carol)]
    office.send(OWN, "*")
    assert not any(call.waits for call in waiting)


def test_a_broadcast_may_answer(office: FakeOffice) -> None:
    """[H05] DESIGN 5.13: in_reply_to is judged by the sender, for all recipients."""
    office.send(by_token("bob"), "alice")
    office.send(OWN, "*", "to all", in_reply_to="m1")
    assert office.row("SELECT in_reply_to FROM messages WHERE id = 2")["in_reply_to"] == 1
