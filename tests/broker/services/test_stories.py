"""`explain`: where every copy of a message stands, why it waits, and all that happened, from its rows alone."""

import pytest

from broker.services import stories
from broker.services.callers import Caller
from broker.services.states import Reports
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.agents import AgentsReport
from wire.errors import Unknown
from wire.inbox import InboxExplain, InboxExplained
from wire.settings import AgentSettings, Settings

OWN = by_token("alice")


async def explained(
    office: FakeOffice, message: str, caller: Caller = OPERATOR_CALLER, reports: Reports | None = None
) -> InboxExplained:
    """Tell the story of a message."""
    async with office.reading() as reader:
        request = InboxExplain(message=message)
        return await stories.explain(reader, caller, request, office.clock.now_ms(), reports or Reports())


async def waits_for(office: FakeOffice, message: str) -> str | None:
    """Say why the only copy of a message waits."""
    (copy,) = (await explained(office, message)).deliveries
    return copy.waits_for


def events(story: InboxExplained) -> list[str]:
    """Give the steps of a story."""
    return [step.event for step in story.history]


async def test_the_whole_story_of_a_message(office: FakeOffice, bob: Caller) -> None:
    """[Z8] Issue 2: accepted, taken, failed, redelivered, answered, handled; with turns and attempts."""
    office.send(OWN, "bob", "mend the pump")
    office.clock.advance(1000)
    office.close(bob, office.opened(bob).id, "crashed", reason="exit 1")
    office.pass_time(5)
    turn = office.opened(bob)
    office.clock.advance(1000)
    answer = office.send(bob, "alice", "done", in_reply_to="m1").id
    office.clock.advance(1000)
    office.close(bob, turn.id)
    story = await explained(office, "m1")
    assert (story.id, story.sender, story.kind, story.body, story.depth) == ("m1", "alice", "peer", "mend the pump", 1)
    (copy,) = story.deliveries
    assert (copy.recipient, copy.state, copy.turn, copy.attempt, copy.failures) == ("bob", "handled", "t2", 2, 1)
    assert copy.waits_for is None
    assert story.replies == [answer]
    assert events(story) == [
        "accepted", "leased", "turn_crashed", "leased", "answered", "turn_completed", "handled"
    ]  # fmt: skip
    assert [step.at_ms for step in story.history] == sorted(step.at_ms for step in story.history)
    assert story.history[2].detail == "t1 (exit 1)"
    assert story.history[3].detail == "t2 of bob, attempt 2"


async def test_the_story_of_a_dead_letter_tells_why_and_what_the_operator_did(office: FakeOffice, bob: Caller) -> None:
    """[Z8] Issue 2: audit rows are part of it."""
    office.send(OWN, "bob")
    office.damage("UPDATE deliveries SET failures = 4")
    office.close(bob, office.opened(bob).id, "hung")
    office.clock.advance(1)
    story = await explained(office, "m1")
    assert events(story) == ["accepted", "leased", "turn_hung", "dead", "told"]
    assert (story.deliveries[0].state, story.history[-1].detail, story.replies) == ("dead", "alice by m2", [])
    assert "5 turns failed" in (story.deliveries[0].reason or "")
    office.requeue("m1")
    story = await explained(office, "m1")
    assert (story.deliveries[0].state, events(story)[-1]) == ("queued", "message.requeued")
    assert story.history[-1].detail == "by operator recipient=bob"


async def test_the_story_of_a_broadcast_has_every_copy(office: FakeOffice, bob: Caller) -> None:
    """[Z8] DESIGN 5.12: each recipient on its own."""
    office.send(OWN, "*")
    office.opened(bob)
    story = await explained(office, "m1")
    assert {copy.recipient: copy.state for copy in story.deliveries} == {
        "bob": "in_turn", "boss": "queued", "carol": "queued"
    }  # fmt: skip
    assert story.history[0].detail == "from alice to bob, boss, carol"


async def test_mail_that_left_a_turn_before_its_end_says_so(office: FakeOffice, bob: Caller) -> None:
    """[Z8] DESIGN 5.3, 5.5: given back or carried on: the end of that turn is not its own."""
    office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, "interrupted", carry=["m1"])
    story = await explained(office, "m1")
    assert events(story) == ["accepted", "leased", "left_turn", "leased"]


async def test_a_lapse_is_told(office: FakeOffice, bob: Caller) -> None:
    """[Z8] DESIGN 5.7: with the death counted."""
    office.send(OWN, "bob")
    office.opened(bob)
    office.pass_time(60)
    story = await explained(office, "m1")
    assert events(story)[-1] == "turn_lapsed"
    assert story.deliveries[0].restarts == 1


# --- why it waits -----------------------------------------------------------------------------------


async def test_it_waits_for_its_back_off(office: FakeOffice, bob: Caller) -> None:
    """[Z8] DESIGN 5.5: how long still, and until when."""
    office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, "crashed")
    (copy,) = (await explained(office, "m1")).deliveries
    assert copy.waits_for == "backs off for 1 s after a failed turn"
    assert copy.ready_at_ms == office.clock.now_ms() + 1000


async def test_it_waits_behind_another_of_its_sender(office: FakeOffice, bob: Caller) -> None:
    """[Z8] DESIGN 5.8: which one; behind one that backs off and behind one that is in a turn."""
    office.send(OWN, "bob")
    turn = office.opened(bob)
    office.send(OWN, "bob")
    office.send(by_token("carol"), "bob")
    assert await waits_for(office, "m2") == "stands behind m1 from the same sender, which is in turn t1"
    office.close(bob, turn.id, "crashed")
    assert await waits_for(office, "m2") == "stands behind m1 from the same sender, which backs off"
    assert await waits_for(office, "m3") == "the next turn of bob"


async def test_it_waits_for_an_agent_that_rests_and_says_why(office: FakeOffice, bob: Caller) -> None:
    """[Z8] DESIGN 8: the reason in the words of its harness."""
    office.send(OWN, bob.name)
    reports = Reports({bob.name: AgentsReport(state="parked", reason="missing_program: no such file")})
    (copy,) = (await explained(office, "m1", reports=reports)).deliveries
    assert copy.waits_for == "bob is parked: missing_program: no such file"


async def test_it_waits_for_somebody_to_work_for_the_agent(office: FakeOffice) -> None:
    """[Z8] DESIGN 5.11: nobody attached, or the connection is lost."""
    office.send(OWN, "bob")
    assert await waits_for(office, "m1") == "nobody works for bob at this moment"
    bob = office.harness("bob")
    assert await waits_for(office, "m1") == "the next turn of bob"
    office.connection_ended(bob)
    assert await waits_for(office, "m1") == "nobody works for bob at this moment"


async def test_it_waits_for_a_pause_to_end(office: FakeOffice) -> None:
    """[Z8] DESIGN 5.18: whoever else is missing."""
    office.send(OWN, "bob")
    office.pause("bob")
    assert await waits_for(office, "m1") == "bob is paused"


async def test_it_waits_for_a_freeze_to_end(office: FakeOffice, bob: Caller) -> None:
    """Issue 3.5: of this agent, or of everybody."""
    office.send(OWN, bob.name)
    office.damage("UPDATE agents SET frozen = 1 WHERE name = 'bob'")
    assert await waits_for(office, "m1") == "bob is frozen; `queenpost thaw bob` lets it go on"
    office.damage("UPDATE agents SET frozen = 0")
    office.damage("UPDATE fleet SET frozen = 1")
    assert await waits_for(office, "m1") == "bob is frozen; `queenpost thaw` lets it go on"


async def test_held_mail_waits_for_the_operator(office: FakeOffice, bob: Caller) -> None:
    """Issue 3.5: whoever works for its recipient."""
    office.send(OWN, bob.name)
    office.damage("UPDATE deliveries SET state = 'held', reason = 'a storm'")
    assert "`queenpost held release m1` lets it go on" in (await waits_for(office, "m1") or "")


async def test_mail_of_a_deaf_agent_waits_for_its_harness(office: FakeOffice) -> None:
    """[H21] Issue 3.5: with the command that starts it."""
    office.send(OWN, "bob")
    reports = Reports(is_deaf=lambda name: name == "bob")
    (copy,) = (await explained(office, "m1", reports=reports)).deliveries
    assert copy.waits_for == "nobody works for bob at this moment: start its harness, `queenpost harness bob`"


async def test_it_waits_for_the_agent_to_be_declared_again(office: FakeOffice) -> None:
    """[Z8] DESIGN 10: it left the file."""
    office.apply(Settings(agents={"dora": AgentSettings()}))
    office.send(OWN, "dora")
    office.apply(Settings())
    assert await waits_for(office, "m1") == "dora is stopped"


async def test_it_waits_for_the_operator(office: FakeOffice) -> None:
    """[Z8] DESIGN 5.17: until it is marked as read."""
    office.send(OWN, "operator")
    assert await waits_for(office, "m1") == "the operator has not marked it as read"
    office.ack("m1")
    assert await waits_for(office, "m1") is None


# --- who may ask ------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["m1", "m99", "t1", "nonsense", "m0"])
async def test_a_foreign_message_looks_like_an_unknown_one(office: FakeOffice, message: str) -> None:
    """DESIGN 5.1: ownership protects ids; the answer is the same."""
    office.send(OWN, "bob")
    with pytest.raises(Unknown) as caught:
        await explained(office, message, by_token("carol"))
    assert caught.value.message == f"no message {message!r} that you may use; check the id"


async def test_a_recipient_sees_its_own_copy_only(office: FakeOffice) -> None:
    """DESIGN 5.12: who else got a broadcast, and how far they are, is the sender's to know."""
    office.send(OWN, "*")
    office.opened(office.harness("carol"))
    story = await explained(office, "m1", by_token("bob"))
    assert [copy.recipient for copy in story.deliveries] == ["bob"]
    assert events(story) == ["accepted"]
    assert [copy.recipient for copy in (await explained(office, "m1", OWN)).deliveries] == ["bob", "boss", "carol"]


async def test_the_story_of_a_damaged_letter_can_be_told(office: FakeOffice, bob: Caller) -> None:
    """[H22] [Z8] DESIGN 5: held, with why; its body is not shown."""
    office.send(OWN, "bob")
    office.damage("UPDATE messages SET body = CAST(x'c3ff28' AS TEXT)")
    office.open(bob)
    story = await explained(office, "m1")
    assert story.deliveries[0].state == "held"
    assert story.body.startswith("[broken")
