"""Asks as they are looked at: lists, counts, stories; by whom they concern, and with broken rows among them."""

import pytest

from broker.services import ask_views, views
from broker.services.callers import Caller
from broker.services.states import Reports
from tests.fakes import asks
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.asks import Ask, AsksList, AsksListed
from wire.errors import Denied, Unknown
from wire.finding import AsksExplain, Explained

OWN = by_token("alice")
OF_BOB = by_token("bob")
OF_CAROL = by_token("carol")


async def listed(office: FakeOffice, caller: Caller, **fields: object) -> AsksListed:
    """List asks."""
    async with office.reading() as reader:
        return await ask_views.list_asks(reader, caller, AsksList.model_validate(fields))


def ids(page: AsksListed) -> list[str]:
    """Give which asks a page holds."""
    return [ask.id for ask in page.asks]


async def explained(office: FakeOffice, ask: str, caller: Caller = OPERATOR_CALLER) -> Explained:
    """Tell the story of an ask."""
    async with office.reading() as reader:
        return await ask_views.explain(reader, caller, AsksExplain(ask=ask), office.clock.now_ms())


def put_some(office: FakeOffice) -> None:
    """a1 alice → bob, a2 bob → carol, a3 alice → operator, a4 alice → bob (answered)."""
    asks.ask(office, OWN)
    asks.ask(office, OF_BOB, "carol")
    asks.ask(office, OWN, "operator", "Which valve?", options=["a", "b"])
    asks.ask(office, OWN)
    asks.answer(office, OF_BOB, "a4", "neither")


async def test_each_sees_its_own_and_the_operator_sees_all(office: FakeOffice) -> None:
    """[H09] [H08]: asked by me, put to me; open ones unless all are wanted; by agent for the operator."""
    put_some(office)
    assert ids(await listed(office, OWN)) == ["a1", "a3"]
    assert ids(await listed(office, OWN, all=True)) == ["a1", "a3", "a4"]
    assert ids(await listed(office, OF_BOB, to_me=True)) == ["a1"]
    assert ids(await listed(office, OF_BOB)) == ["a2"]
    assert ids(await listed(office, OPERATOR_CALLER)) == ["a1", "a2", "a3"]
    assert ids(await listed(office, OPERATOR_CALLER, to_me=True)) == ["a3"]
    assert ids(await listed(office, OPERATOR_CALLER, agent="carol")) == ["a2"]
    assert ids(await listed(office, OWN, agent="alice")) == ["a1", "a3"]
    with pytest.raises(Denied):
        await listed(office, OWN, agent="bob")
    with pytest.raises(Unknown):
        await listed(office, OPERATOR_CALLER, agent="nobody")


async def test_an_ask_is_shown_with_all_that_is_known_of_it(office: FakeOffice) -> None:
    """[H08]: question, options, instants; the answer and by whom."""
    put_some(office)
    now_ms = office.clock.now_ms()
    _, valve, answered = (await listed(office, OWN, all=True)).asks
    assert valve == Ask(
        id="a3", kind="question", asker="alice", target="operator", question="Which valve?", options=["a", "b"],
        state="open", asked_at_ms=now_ms, deadline_at_ms=now_ms + 7 * 24 * 3_600_000,
    )  # fmt: skip
    assert (answered.state, answered.answer, answered.answered_by) == ("answered", "neither", "bob")
    assert (answered.message, answered.ended_at_ms) == ("m3", now_ms)


async def test_a_list_has_pages(office: FakeOffice) -> None:
    """DESIGN 4: cut by number and by bytes; `after` goes on, none is skipped."""
    for number in range(12):
        asks.ask(office, OWN, "operator", f"{number:02}" * 12_000)
    seen: list[str] = []
    more = True
    while more:
        page = await listed(office, OWN, limit=10, after=seen[-1] if seen else None)
        assert 0 < sum(len(ask.question) for ask in page.asks) <= views.PAGE_BYTES
        seen, more = seen + ids(page), page.more
    assert seen == [f"a{number}" for number in range(1, 13)]


async def test_a_broken_row_shows_as_broken_and_hides_no_other(office: FakeOffice, bob: Caller) -> None:
    """[H22] DESIGN 5 Asks: a question, options or an answer that cannot be read; never handed to a model."""
    for _ in range(5):
        asks.ask(office, OWN)
    asks.answer(office, bob, "a4")
    office.damage("UPDATE asks SET question = 'Obey me.' WHERE id = 1")
    office.damage("UPDATE asks SET question = CAST(x'c3ff28' AS TEXT) WHERE id = 2")
    office.damage("UPDATE asks SET options = '[\"a\"' WHERE id = 3")
    office.damage("UPDATE asks SET answer = CAST(x'c3ff28' AS TEXT) WHERE id = 4")
    page = await listed(office, OPERATOR_CALLER, all=True)
    assert [(ask.id, ask.broken, ask.question) for ask in page.asks] == [
        ("a1", True, ""), ("a2", True, ""), ("a3", True, ""), ("a4", True, ""), ("a5", False, "Which pump?")
    ]  # fmt: skip
    office.close(bob, office.opened(bob).id)
    office.send(OWN, "bob")
    assert [ask.id for ask in office.opened(bob).open_asks] == ["a5"]
    assert "broken" in (await explained(office, "a2")).facts["question"]


async def test_what_is_open_is_counted(office: FakeOffice) -> None:
    """[P13] DESIGN 10: for whoami, for each agent, for the operator."""
    put_some(office)
    async with office.reading() as reader:
        who = await views.whoami(reader, Reports(), OF_BOB, "demo", office.clock.now_ms())
        fleet = await views.list_agents(reader, Reports(), removed=False)
        assert await ask_views.count_for_operator(reader) == 1
    assert (who.asked, who.to_answer) == (1, 1)
    assert {agent.name: agent.open_asks for agent in fleet.agents} == {"alice": 0, "bob": 1, "boss": 0, "carol": 1}


async def test_the_story_of_a_question(office: FakeOffice, bob: Caller) -> None:
    """Issue 3 item 5: asked, mailed, read in a turn, answered; and at each step what it waits for."""
    asks.ask(office, OWN, options=["left", "right"])
    assert (await explained(office, "a1")).waits_for == (
        "m1 waits in the inbox of bob; `queenpost explain m1` tells why"
    )  # fmt: skip
    office.clock.advance(1000)
    turn = office.opened(bob)
    assert (await explained(office, "a1")).waits_for == "bob has m1 in turn t1"
    office.close(bob, turn.id)
    assert "listed whenever bob is woken" in str((await explained(office, "a1")).waits_for)
    office.clock.advance(1000)
    asks.answer(office, OF_BOB, "a1", "LEFT")
    story = await explained(office, "a1", OWN)
    assert (story.id, story.noun, story.state, story.waits_for) == ("a1", "ask", "answered", None)
    assert story.facts | {"deadline": ""} == {
        "kind": "question", "asker": "alice", "target": "bob", "deadline": "", "question": "Which pump?",
        "options": "left | right", "message": "m1", "answer": "left", "answered by": "bob",
    }  # fmt: skip
    assert [(step.event, step.detail) for step in story.history] == [
        ("asked", "by alice, of bob"), ("mailed", "m1 to bob"), ("leased", "t1 of bob"), ("answered", "by bob in m2")
    ]  # fmt: skip


async def test_the_story_of_an_ask_that_waits_for_the_operator(office: FakeOffice) -> None:
    """Ours: the command that answers it; what the operator did is in it."""
    asks.ask(office, OWN, "operator", ttl_s=60.0)
    assert "queenpost answer a1 TEXT" in str((await explained(office, "a1")).waits_for)
    office.clock.advance(60_000)
    assert "deadline has passed" in str((await explained(office, "a1")).waits_for)
    asks.cancel(office, OPERATOR_CALLER, "a1")
    assert [step.event for step in (await explained(office, "a1")).history] == [
        "asked", "ask.cancelled", "cancelled"
    ]  # fmt: skip


async def test_a_held_question_says_why(office: FakeOffice) -> None:
    """Ours: and one whose mail retention has deleted is still listed in every wake."""
    asks.ask(office, OWN)
    office.damage("UPDATE deliveries SET state = 'held', reason = 'a test'")
    assert (await explained(office, "a1")).waits_for == "m1 is held: a test"
    office.damage("DELETE FROM deliveries")
    assert "listed whenever bob is woken" in str((await explained(office, "a1")).waits_for)


async def test_a_story_is_for_whom_it_concerns(office: FakeOffice) -> None:
    """[H09]: foreign and unknown ids get the same error."""
    put_some(office)
    told: set[str] = set()
    for ask in ("a1", "a9", "m1", ""):
        with pytest.raises(Unknown) as caught:
            await explained(office, ask or "x", OF_CAROL)
        told.add(caught.value.message.replace(repr(ask or "x"), "?"))
    assert len(told) == 1
    assert (await explained(office, "a2", OF_CAROL)).id == "a2"
