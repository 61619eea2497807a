"""Asks over the link: a harness that waits for a permission, an operator that answers, a broker that restarts."""

import anyio
import pytest

from tests.fakes.broker import BrokerProcess, LocalBroker
from tests.scenarios.fleet import Worker, until
from wire.asks import AsksAnswer, AsksAnswered, AsksAsk, AsksAsked, AsksList, AsksListed, AsksWait, AsksWaited
from wire.client import BrokerClient, new_key
from wire.clock import FakeClock
from wire.errors import Denied, Unknown
from wire.finding import AsksExplain, Explained
from wire.fleet import FleetState, FleetStatus
from wire.home import Home

pytestmark = pytest.mark.anyio


async def permission(worker: Worker, question: str = "Bash: ls") -> str:
    """Ask for a permission as the worker's harness; gives its id."""
    request = AsksAsk(key=new_key(), kind="permission", question=question)
    return (await worker.client.call(request, AsksAsked, as_=worker.as_)).id


async def waited(worker: Worker, ask: str, wait_s: float = 60.0) -> tuple[str, str | None] | None:
    """Wait for the end of an ask; gives state and answer."""
    request = AsksWait(ask=ask, wait_s=wait_s)
    result = await worker.client.call(request, AsksWaited, as_=worker.as_, timeout_s=90.0)
    return None if result.ask is None else (result.ask.state, result.ask.answer)


async def answer(client: BrokerClient, ask: str, text: str) -> AsksAnswered:
    """Answer an ask."""
    return await client.call(AsksAnswer(key=new_key(), ask=ask, answer=text), AsksAnswered)


async def test_a_harness_waits_and_the_operator_answers(home: Home) -> None:
    """DESIGN 5 Asks: a parked wait ends with the answer; status and list show the ask until then."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        await fleet.send("bob")
        await bob.opened()
        ask = await permission(bob)
        assert await waited(bob, ask, 0) is None
        operator = await fleet.operator()
        assert (await operator.call(FleetStatus(), FleetState)).open_asks == 1
        (listed,) = (await operator.call(AsksList(to_me=True), AsksListed)).asks
        assert (listed.id, listed.asker, listed.kind, listed.turn) == (ask, "bob", "permission", "t1")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer, operator, ask, "allow")
            assert await waited(bob, ask) == ("answered", "allow")
        story = await operator.call(AsksExplain(ask=ask), Explained)
        assert [step.event for step in story.history] == ["asked", "ask.answered", "answered"]
        assert (await operator.call(FleetStatus(), FleetState)).open_asks == 0


async def test_a_wait_ends_with_the_turn(home: Home) -> None:
    """DESIGN 5 Asks: whoever is parked is told at once."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        await fleet.send("bob")
        turn = await bob.opened()
        ask = await permission(bob)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bob.close, turn.id)
            assert await waited(bob, ask) == ("cancelled", None)


async def test_a_deadline_ends_a_wait_without_anybody_asking(home: Home) -> None:
    """DESIGN 5.8: the due-timer closes the ask and wakes who waits."""
    clock = FakeClock()
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        await fleet.send("bob")
        await bob.opened()
        ask = (
            await bob.client.call(
                AsksAsk(key=new_key(), kind="permission", question="Bash: ls", ttl_s=20.0), AsksAsked, as_="bob"
            )
        ).id
        assert await waited(bob, ask, 0) is None
        async with anyio.create_task_group() as tasks:

            async def let_it_pass() -> None:
                await until(lambda: bool(fleet.end_of("harness").tickets))
                clock.advance(20_000)
                await fleet.keeper.do_what_is_due()

            tasks.start_soon(let_it_pass)
            assert await waited(bob, ask) == ("expired", None)


async def test_rights_are_checked_before_anything_is_read(home: Home) -> None:
    """DESIGN 4: only an attached instance waits; a session asks for no permission."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        session = await fleet.session("bob")
        operator = await fleet.operator()
        with pytest.raises(Denied):
            await operator.call(AsksWait(ask="a1"), AsksWaited)
        with pytest.raises(Denied):
            await permission(session)
        with pytest.raises(Unknown):
            await session.client.call(AsksExplain(ask="a1"), Explained)


async def test_an_ask_and_its_answer_survive_kills_of_the_broker(home: Home) -> None:
    """[H08] [Z1]: kill -9 between asking, answering and reading; asked once, answered once, one mail."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("alice", "bob")
        alice, bob = await fleet.harness("alice", "bob")
        asking = AsksAsk(key="ask", to="bob", question="Which pump?", options=["left", "right"])
        asked = await alice.client.call(asking, AsksAsked, as_="alice")
        await fleet.restart()
        assert await alice.client.call(asking, AsksAsked, as_="alice") == asked
        (mail,) = (await bob.opened()).mail
        assert mail.about is not None
        assert (mail.body, mail.about.ask) == ("Which pump?", asked.id)
        answering = AsksAnswer(key="answer", ask=asked.id, answer="LEFT")
        answered = await bob.client.call(answering, AsksAnswered, as_="bob")
        await fleet.restart()
        assert await bob.client.call(answering, AsksAnswered, as_="bob") == answered
        (told,) = (await alice.opened()).mail
        assert (told.id, told.body, told.in_reply_to) == (answered.message, "left", mail.id)
        assert (await fleet.status()).account.lost == 0
