"""Sending: what is accepted is stored, what is refused leaves nothing behind."""

import hashlib

import pytest

from broker.services import asks, retention
from broker.services.callers import Caller, Rules
from tests.broker.services.refusals import refused
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.asks import AsksAsk
from wire.errors import Conflict, Denied, Full, Invalid, Limited, Unknown
from wire.escaping import rendered_bytes
from wire.inbox import MAX_BODY_BYTES
from wire.settings import AgentSettings, Limits, RetentionSettings, Settings

OWN = by_token("alice")


def test_an_accepted_message_is_stored_before_the_answer(office: FakeOffice) -> None:
    """[H01] [P01] DESIGN 5.1: one row with the body and its hash, one ready delivery, and a new broker has them."""
    body = "Please look at the pump\x00 – it is wet \u202e"
    receipt = office.send(OWN, "bob", body)
    office.restart()
    row = office.row("SELECT * FROM messages")
    assert (f"m{row['id']}", row["sender"], row["kind"], row["body"]) == (receipt.id, "alice", "peer", body)
    assert row["body_sha256"] == hashlib.sha256(body.encode()).digest()
    delivery = office.delivery(receipt.id, "bob")
    assert (delivery["state"], delivery["attempt"], delivery["place"]) == ("ready", 0, 1)
    assert delivery["bytes"] == rendered_bytes(body)


def test_a_receipt_says_queued_and_who_gets_it(office: FakeOffice) -> None:
    """[P01] DESIGN 5: accepted is not handled, and the word says so."""
    receipt = office.send(OWN, "bob")
    assert (receipt.id, receipt.to, receipt.state, receipt.recipients) == ("m1", "bob", "queued", ["bob"])
    assert not receipt.duplicate
    assert not receipt.warnings


@pytest.mark.parametrize("name", ["nobody", "system", "reminder", "self", "Bob", "bob ", "a\x00b"])
def test_an_unknown_recipient_is_refused(office: FakeOffice, name: str) -> None:
    """[P01] DESIGN 5.1: an error, never a silent success."""
    error = refused(office, Unknown, lambda: office.send(OWN, name))
    assert "whoami lists the agents" in error.message


def test_a_removed_recipient_is_unknown(office: FakeOffice) -> None:
    """[P01] DESIGN 5.1, 5.18: a removed agent has no inbox."""
    office.remove("bob")
    refused(office, Unknown, lambda: office.send(OWN, "bob"))


def test_mail_to_a_stopped_agent_waits_and_the_sender_is_warned(office: FakeOffice) -> None:
    """DESIGN 10: an agent that left the file is stopped, its mail kept."""
    office.apply(Settings(agents={"dora": AgentSettings()}))
    office.apply(Settings())
    receipt = office.send(OWN, "dora")
    assert "is stopped" in receipt.warnings[0]
    assert office.state(receipt.id, "dora") == "ready"


def test_manager_is_resolved_when_the_message_is_sent(office: FakeOffice) -> None:
    """DESIGN 5.1: `manager` is an address; the receipt says who it was."""
    receipt = office.send(OWN, "manager")
    assert (receipt.to, receipt.recipients) == ("manager", ["boss"])
    assert office.states("boss") == {receipt.id: "ready"}


def test_a_fleet_without_manager_refuses_mail_to_it(office: FakeOffice) -> None:
    """DESIGN 5.1: an error that says what to do."""
    office.remove("boss")
    error = refused(office, Unknown, lambda: office.send(OWN, "manager"))
    assert "no manager" in error.message


@pytest.mark.parametrize(("sender", "to"), [("alice", "alice"), ("boss", "boss"), ("boss", "manager")])
def test_a_message_to_oneself_is_refused(office: FakeOffice, sender: str, to: str) -> None:
    """Ours: it would come back as mail from a peer; reminders are for that."""
    refused(office, Invalid, lambda: office.send(by_token(sender), to))


def test_the_operator_does_not_write_to_itself(office: FakeOffice) -> None:
    """Ours: the same rule as for agents."""
    refused(office, Invalid, lambda: office.send(OPERATOR_CALLER, "operator"))


def test_a_removed_sender_is_refused(office: FakeOffice) -> None:
    """DESIGN 5.18: a removed agent does nothing more, even on a connection that is still open."""
    office.remove("alice")
    refused(office, Unknown, lambda: office.send(OWN, "bob"))


@pytest.mark.parametrize("letter", ["x", "ü", "✉"])
def test_a_body_is_measured_in_utf8_bytes(office: FakeOffice, letter: str) -> None:
    """DESIGN 5.1: at most 24 KiB of UTF-8, to the byte."""
    fits = letter * (MAX_BODY_BYTES // len(letter.encode()))
    office.send(OWN, "bob", fits)
    error = refused(office, Invalid, lambda: office.send(OWN, "bob", fits + letter))
    assert "write it to a file" in error.message


def test_the_length_of_a_body_can_be_limited(office: FakeOffice) -> None:
    """DESIGN 5.1: 24 KiB is the default; [limits] says otherwise."""
    office.rules = Rules(Limits(body_bytes=256))
    office.send(OWN, "bob", "x" * 256)
    refused(office, Invalid, lambda: office.send(OWN, "bob", "x" * 257))


# --- the allow-list ---------------------------------------------------------------------------------


def restricted(office: FakeOffice, *allowed: str) -> Caller:
    """Add an agent that may write to these only."""
    office.add("dora", AgentSettings(allowed_recipients=list(allowed)))
    return by_token("dora")


def test_a_forbidden_recipient_is_refused_with_the_allowed_ones_named(office: FakeOffice) -> None:
    """[H07] [P01] DESIGN 5.16: enforced in the broker; nothing is stored."""
    dora = restricted(office, "alice")
    error = refused(office, Denied, lambda: office.send(dora, "bob"))
    assert "allowed: manager, operator, alice" in error.message
    assert office.send(dora, "alice").id == "m1"


def test_manager_and_operator_are_always_reachable(office: FakeOffice) -> None:
    """[H07] DESIGN 5.16: also with an empty list, under either name of the manager."""
    dora = restricted(office)
    for name in ("manager", "boss", "operator"):
        assert office.send(dora, name).state == "queued"
    refused(office, Denied, lambda: office.send(dora, "alice"))


def test_an_unset_list_is_open(office: FakeOffice) -> None:
    """[H07] DESIGN 5.16: unset and empty are not the same."""
    assert office.send(OWN, "bob").recipients == ["bob"]


def test_the_manager_and_the_operator_write_to_anyone(office: FakeOffice) -> None:
    """[H07] DESIGN 5.16: even if somebody gave the manager a list."""
    office.remove("boss")
    office.add("chief", AgentSettings(role="manager", allowed_recipients=[]))
    assert office.send(by_token("chief"), "bob").state == "queued"
    assert office.send(OPERATOR_CALLER, "bob").state == "queued"


# --- keys -------------------------------------------------------------------------------------------


def test_a_retry_under_the_same_key_gets_the_first_receipt(office: FakeOffice) -> None:
    """DESIGN 4, 5.1: one row, however often the request comes, also after a restart."""
    first = office.send(OWN, "manager", "once", in_reply_to="m99", key="k")
    office.restart()
    again = office.send(OWN, "manager", "once", in_reply_to="m99", key="k")
    assert again == first.model_copy(update={"duplicate": True})
    assert again.warnings
    assert office.states("boss") == {first.id: "ready"}


def test_a_retry_of_a_plain_send_gets_the_first_receipt(office: FakeOffice) -> None:
    """DESIGN 5.1: the common case stores no receipt of its own."""
    first = office.send(OWN, "bob", "once", key="k")
    assert office.send(OWN, "bob", "once", key="k") == first.model_copy(update={"duplicate": True})


def test_two_equal_requests_in_one_commit_make_one_message(office: FakeOffice) -> None:
    """DESIGN 5.1: a retry may overtake its first try and share its commit."""
    calls = [office.send.call(OWN, "bob", "once", key="k") for _ in range(3)]
    office.commit(*calls)
    assert [call.get().id for call in calls] == ["m1", "m1", "m1"]
    assert [call.get().duplicate for call in calls] == [False, True, True]


@pytest.mark.parametrize(
    ("to", "body", "reply"),
    [("bob", "other", None), ("carol", "once", None), ("bob", "once", "m1"), ("*", "once", None)],
)
def test_a_reused_key_with_other_content_is_a_conflict(
    office: FakeOffice, to: str, body: str, reply: str | None
) -> None:
    """[P05] DESIGN 5.1: other recipient, body or in_reply_to; no row comes of it."""
    office.send(OWN, "bob", "once", key="k")
    error = refused(office, Conflict, lambda: office.send(OWN, to, body, in_reply_to=reply, key="k"))
    assert "use a new key" in error.message


def test_parts_of_a_request_cannot_run_into_each_other(office: FakeOffice) -> None:
    """DESIGN 5.1: same key, other content is a conflict, also where the pieces join to the same text."""
    office.send(OWN, "bob", "z", in_reply_to="x\x00y", key="k")
    refused(office, Conflict, lambda: office.send(OWN, "bob", "y\x00z", in_reply_to="x", key="k"))
    office.send(OWN, "bob", "z", in_reply_to=None, key="l")
    refused(office, Conflict, lambda: office.send(OWN, "bob", "z", in_reply_to="", key="l"))


def test_a_key_is_its_senders_own(office: FakeOffice) -> None:
    """DESIGN 4: (principal, op, key); two agents may use the same word."""
    ids = [office.send(by_token(name), "boss", "hi", key="k").id for name in ("alice", "bob")]
    ids.append(office.send(OPERATOR_CALLER, "boss", "hi", key="k").id)
    assert ids == ["m1", "m2", "m3"]


def test_a_key_is_looked_at_before_quota_and_policy(office: FakeOffice) -> None:
    """DESIGN 5.1: a retry of what was accepted is never refused for what changed since."""
    office.rules = Rules(Limits(send_burst=1, inbox_messages=1))
    office.add("dora")
    dora = by_token("dora")
    first = office.send(dora, "bob", "once", key="k")
    refused(office, Limited, lambda: office.send(dora, "carol", "more"))
    office.rules = Rules(Limits(body_bytes=256, disk_headroom_bytes=1000), disk_free_bytes=1)
    office.remove("bob")
    office.remove("dora")
    assert office.send(dora, "bob", "once", key="k") == first.model_copy(update={"duplicate": True})


def test_a_key_outlives_the_message_and_a_week(office: FakeOffice) -> None:
    """DESIGN 5.1: it lives as long as its message and at least 7 days."""
    first = office.send(OWN, "bob", "once", key="k")
    bob = office.harness("bob")
    office.close(bob, office.opened(bob).id)
    office.pass_time(8 * 24 * 3600)
    assert office.send(OWN, "bob", "once", key="k").id == first.id


# --- in_reply_to ------------------------------------------------------------------------------------


def replied(office: FakeOffice, sender: str, to: str, reply: str) -> tuple[int | None, list[str]]:
    """Send an answer; gives what was stored and the warnings."""
    receipt = office.send(by_token(sender), to, "re", in_reply_to=reply)
    row = office.row("SELECT in_reply_to FROM messages WHERE id = :id", id=int(receipt.id[1:]))
    return row["in_reply_to"], receipt.warnings


def test_an_answer_to_mail_that_was_received_is_linked(office: FakeOffice) -> None:
    """[H05] DESIGN 5.13: first case, the recipient answers."""
    office.send(OWN, "bob")
    assert replied(office, "bob", "alice", "m1") == (1, [])


def test_an_answer_to_mail_that_was_sent_is_linked(office: FakeOffice) -> None:
    """[H05] DESIGN 5.13: second case, the sender follows up."""
    office.send(OWN, "bob")
    assert replied(office, "alice", "bob", "m1") == (1, [])


def test_an_answer_to_mail_of_others_loses_its_link_with_a_warning(office: FakeOffice) -> None:
    """[H05] DESIGN 5.13: third case; the send succeeds, and says no more than for an unknown id."""
    office.send(OWN, "bob")
    link, warnings = replied(office, "carol", "bob", "m1")
    assert link is None
    assert "you neither sent nor received" in warnings[0]
    assert replied(office, "carol", "bob", "m77")[1] == [warnings[0].replace("m1", "m77")]


@pytest.mark.parametrize("reply", ["m77", "t1", "m0", "m01", "nonsense", "m" + "9" * 40, ""])
def test_an_answer_to_something_unknown_loses_its_link_with_a_warning(office: FakeOffice, reply: str) -> None:
    """[H05] DESIGN 5.13: fourth case, whatever the id looks like."""
    link, warnings = replied(office, "carol", "bob", reply)
    assert link is None
    assert len(warnings) == 1


def test_whoever_was_asked_stays_a_party_while_the_ask_is_open(office: FakeOffice) -> None:
    """DESIGN 5.13, 5.19: also when its mail was handled or recalled so long ago that retention deleted it."""
    put = AsksAsk(key=office.key(), to="bob", question="Which pump?", ttl_s=30 * 24 * 3600)
    office.do(lambda tx: asks.ask(tx, OWN, put, office.rules))
    office.recall(OPERATOR_CALLER, "m1")
    office.clock.advance(8 * 24 * 3600 * 1000)
    settings = RetentionSettings(dead_days=7)
    office.do(lambda tx: retention.forget_mail(tx, settings))
    assert office.rows("SELECT 1 FROM deliveries") == []
    receipt = office.send(by_token("bob"), "alice", in_reply_to="m1")
    (warning,) = receipt.warnings
    assert "answer(id=a1)" in warning
    assert office.row("SELECT in_reply_to FROM messages ORDER BY id DESC LIMIT 1")["in_reply_to"] == 1


# --- what the broker stamps -------------------------------------------------------------------------


def test_the_kind_comes_from_the_credential(office: FakeOffice) -> None:
    """[P12] DESIGN 5, Provenance: operator, manager or peer, never an argument."""
    for caller in (OPERATOR_CALLER, by_token("boss"), OWN):
        office.send(caller, "bob")
    rows = office.rows("SELECT sender, kind FROM messages ORDER BY id")
    assert [tuple(row) for row in rows] == [("operator", "operator"), ("boss", "manager"), ("alice", "peer")]


def depth_of(office: FakeOffice, message: str) -> int:
    """Give the depth that was stamped on a message."""
    return office.row("SELECT depth FROM messages WHERE id = :id", id=int(message[1:]))["depth"]


def test_depth_is_one_more_than_the_deepest_mail_of_the_sending_turn(
    office: FakeOffice, alice: Caller, bob: Caller
) -> None:
    """[P05] DESIGN 5.15: 0 for the operator, 1 where nothing caused it, and causal from there on."""
    assert depth_of(office, office.send(OPERATOR_CALLER, "alice").id) == 0
    assert depth_of(office, office.send(by_token("carol"), "bob").id) == 1
    office.opened(alice)
    deeper = office.send(alice, "bob")
    assert depth_of(office, deeper.id) == 1
    office.opened(bob)
    assert depth_of(office, office.send(bob, "carol").id) == 2
    assert depth_of(office, office.send(OPERATOR_CALLER, "bob").id) == 0


def test_mail_taken_later_deepens_what_is_sent_after_it(office: FakeOffice, alice: Caller) -> None:
    """[P05] DESIGN 5.15: the highest depth in the sending turn, as it stands when the message is sent."""
    office.send(OPERATOR_CALLER, "alice")
    turn = office.opened(alice)
    assert depth_of(office, office.send(alice, "bob").id) == 1
    office.send(by_token("carol"), "alice")
    office.taken(alice, turn.id)
    assert depth_of(office, office.send(alice, "bob").id) == 2


def test_a_message_knows_the_turn_it_was_sent_in(office: FakeOffice, alice: Caller) -> None:
    """DESIGN 5.10: so that a later attempt can be told what this one sent."""
    before = office.send(alice, "bob")
    office.send(OPERATOR_CALLER, "alice")
    turn = office.opened(alice)
    during = office.send(alice, "bob")
    office.close(alice, turn.id)
    after = office.send(alice, "bob")
    rows = office.rows("SELECT id, turn FROM messages WHERE sender = 'alice'")
    told = {f"m{row['id']}": row["turn"] for row in rows}
    assert told == {before.id: None, during.id: int(turn.id[1:]), after.id: None}


def test_what_a_fenced_instance_sends_is_not_of_its_successors_turn(office: FakeOffice) -> None:
    """[P14] DESIGN 5.7, 5.10: else the successor's mail would be said to have sent it."""
    fenced = office.harness("alice")
    successor = office.harness("alice", takeover=True)
    office.send(OPERATOR_CALLER, "alice")
    office.opened(successor)
    late = office.send(fenced, "bob")
    assert office.row("SELECT turn FROM messages WHERE id = :id", id=int(late.id[1:]))["turn"] is None


# --- room -------------------------------------------------------------------------------------------


def test_a_full_inbox_refuses_and_drops_nothing(office: FakeOffice) -> None:
    """[P01] DESIGN 5.1, 5.14: `full`, never a drop, never an eviction."""
    office.rules = Rules(Limits(inbox_messages=2))
    kept = [office.send(OWN, "bob").id for _ in range(2)]
    error = refused(office, Full, lambda: office.send(OWN, "bob"))
    assert "2 messages wait" in error.message
    assert office.states("bob") == dict.fromkeys(kept, "ready")


def test_a_full_inbox_is_measured_in_rendered_bytes_too(office: FakeOffice) -> None:
    """DESIGN 5.14: 16 MiB by default; what hidden characters take when they are written out counts."""
    body = "\u202e" * 200
    office.rules = Rules(Limits(inbox_bytes=rendered_bytes(body)))
    office.send(OWN, "bob", body)
    refused(office, Full, lambda: office.send(OWN, "bob", "x"))


def test_mail_in_a_turn_still_takes_room_until_it_is_handled(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.14: the quota is over unsettled mail, so a restart cannot overfill an inbox."""
    office.rules = Rules(Limits(inbox_messages=1))
    office.send(OWN, "bob")
    turn = office.opened(bob)
    refused(office, Full, lambda: office.send(OWN, "bob"))
    office.close(bob, turn.id)
    assert office.send(OWN, "bob").state == "queued"


def test_operator_mail_uses_reserved_room(office: FakeOffice) -> None:
    """DESIGN 5.14: a full inbox and a full disk still take it."""
    office.rules = Rules(Limits(inbox_messages=1, disk_headroom_bytes=10), disk_free_bytes=9)
    for _ in range(3):
        office.send(OPERATOR_CALLER, "bob")
    assert len(office.states("bob")) == 3


def test_a_disk_without_headroom_refuses_agents_and_lets_turns_end(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.14: sends of agents get `full`; turns.* use the headroom."""
    office.send(OWN, "bob")
    office.rules = Rules(Limits(disk_headroom_bytes=10), disk_free_bytes=9)
    error = refused(office, Full, lambda: office.send(OWN, "bob"))
    assert "nothing was stored" in error.message
    assert office.close(bob, office.opened(bob).id).acked == ["m1"]


# --- mail that does not wait ------------------------------------------------------------------------


def test_the_operator_and_the_manager_may_interrupt_a_turn(office: FakeOffice) -> None:
    """[P03] DESIGN 8: the holder is told which message does not wait; without `now` nobody is."""
    office.send(OPERATOR_CALLER, "bob")
    assert office.pushed("mail_now") == []
    office.send(OPERATOR_CALLER, "bob", now=True)
    office.send(by_token("boss"), "bob", now=True)
    assert office.pushed("mail_now") == ["bob", "bob"]


def test_nobody_else_interrupts_anybody(office: FakeOffice) -> None:
    """[P03] Bad input: nothing is stored; the remedy is named."""
    alice, operator = by_token("alice"), OPERATOR_CALLER
    assert "without `now`" in refused(office, Denied, lambda: office.send(alice, "bob", now=True)).message
    assert "without `now`" in refused(office, Invalid, lambda: office.send(operator, "*", now=True)).message
    assert office.rows("SELECT 1 FROM messages") == []
