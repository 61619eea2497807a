"""Proving that an agent would wake, without mail and without a model call."""

import anyio
import pytest

from broker.edge import waking
from tests.fakes.broker import LocalBroker
from tests.scenarios.fleet import Worker, until
from wire.agents import AgentsChanged, AgentsPause, AgentsReport, AgentsWakeTest, AgentsWoken
from wire.errors import Unknown
from wire.home import Home
from wire.turns import Turn, TurnsOpen, TurnsOpened

pytestmark = pytest.mark.anyio


async def woken(fleet: LocalBroker, name: str = "bob") -> AgentsWoken:
    """Ask for the proof."""
    return await (await fleet.operator()).call(AgentsWakeTest(agent=name), AgentsWoken)


async def waits(fleet: LocalBroker) -> None:
    """Wait until a loop is parked."""
    await until(lambda: bool(fleet.office.parked_opens.tickets("bob")))


async def loop(bob: Worker, rounds: int) -> None:
    """Ask for mail as a turn loop does, so many times."""
    for _ in range(rounds):
        opened = await bob.client.call(TurnsOpen(wait_s=60), TurnsOpened, as_=bob.as_)
        assert opened.turn is None


async def test_a_loop_that_comes_back_is_awake(home: Home) -> None:
    """[P02] DESIGN 5.11: its wait is ended, it asks again; nothing is leased, counted or written for it."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(loop, bob, 3)
            for _ in range(2):
                await waits(fleet)
                answer = await woken(fleet)
                assert (answer.woken, answer.state) == (True, "idle")
                assert answer.wake_ms is not None
                assert answer.wake_ms > 0
            await waits(fleet)
            tasks.cancel_scope.cancel()
        assert (await fleet.agent("bob")).last_turn is None


async def test_a_loop_that_does_not_come_back_is_found(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """[P02]: it says that it is idle, and it sleeps; and so does one that never asked for mail."""
    monkeypatch.setattr(waking, "COMES_BACK_S", 0.01)
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        answer = await woken(fleet)
        assert (answer.woken, answer.state) == (False, "idle")
        assert "does not wait for mail; `queenpost agent restart bob`" in answer.reason
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(loop, bob, 1)
            await waits(fleet)
            answer = await woken(fleet)
        assert (answer.woken, answer.wake_ms) == (False, None)
        assert "did not come back" in answer.reason


async def test_whom_nobody_can_wake_is_said(home: Home) -> None:
    """[P02]: who works, rests, is paused, away or a session of its own; and nobody by that name."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob", "carol", "dora")
        assert (await woken(fleet)).state == "away"
        bob = await fleet.worker("bob")
        parked = AgentsReport(state="parked", reason="quota")
        await bob.client.call(parked, AgentsChanged, as_="bob")
        answer = await woken(fleet)
        assert (answer.woken, answer.state, answer.reason) == (False, "parked", "quota")
        await bob.client.call(AgentsReport(state="working"), AgentsChanged, as_="bob")
        await fleet.send("bob")
        turn = await bob.opened()
        answer = await woken(fleet)
        assert answer.state == "working"
        assert answer.reason == f"turn {turn.id} runs, and its mail is looked for when that ends"
        await fleet.session("carol")
        assert "a session of its own" in (await woken(fleet, "carol")).reason
        await (await fleet.operator()).call(AgentsPause(key="k", agent="dora"), AgentsChanged)
        assert (await woken(fleet, "dora")).state == "paused"
        with pytest.raises(Unknown):
            await woken(fleet, "nobody")


async def test_mail_that_comes_meanwhile_is_not_lost(home: Home) -> None:
    """DESIGN 5.2: what wakes the loop first is what it gets; the mail is leased once."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        turns: list[Turn] = []

        async def serve() -> None:
            while not turns:
                turns.extend(turn for turn in [await bob.open(60)] if turn)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            await waits(fleet)
            tasks.start_soon(woken, fleet)
            sent = await fleet.send("bob")
            await until(lambda: bool(turns))
            assert [(mail.id, mail.attempt) for mail in turns[0].mail] == [(sent.id, 1)]
            tasks.cancel_scope.cancel()


async def test_a_loop_that_is_just_starting_is_waited_for(home: Home) -> None:
    """Ours: right behind a restart, say."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        answers: list[AgentsWoken] = []

        async def look() -> None:
            answers.append(await woken(fleet))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            await until(lambda: "bob" in fleet.office.parked_opens.awaited())
            tasks.start_soon(loop, bob, 2)
            await until(lambda: bool(answers))
            tasks.cancel_scope.cancel()
        assert answers[0].woken
