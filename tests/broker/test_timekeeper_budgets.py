"""Budgets of a day in the whole broker: who waits for mail is let in by midnight, and by the operator's answer."""

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from tests.fakes.broker import LocalBroker, short_home
from tests.scenarios.fleet import settled
from wire.agents import AgentsAdd, AgentsAdded
from wire.asks import AsksAnswer, AsksAnswered, AsksList, AsksListed
from wire.client import new_key
from wire.clock import FakeClock
from wire.home import Home
from wire.settings import AgentSettings
from wire.turns import Turn, TurnsClose, TurnsClosed, Usage

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


@pytest.fixture
def clock() -> FakeClock:
    """Time that only the test lets pass."""
    return FakeClock()


@pytest.fixture
async def fleet(home: Home, clock: FakeClock) -> AsyncIterator[LocalBroker]:
    """A broker with bob, whose budget is a thousand tokens a day."""
    async with LocalBroker(home, clock=clock) as fleet:
        request = AgentsAdd(key=new_key(), agent="bob", settings=AgentSettings(daily_budget_tokens=1000))
        await (await fleet.operator()).call(request, AgentsAdded)
        yield fleet


@pytest.mark.parametrize("by", ["midnight", "the operator"])
async def test_a_parked_open_is_let_in(fleet: LocalBroker, clock: FakeClock, by: str) -> None:
    """Issue 4.6: it waits over mail that is there; `status` says why and until when, and what was spent."""
    bob = await fleet.worker("bob")
    operator = await fleet.operator()
    await fleet.send("bob")
    first = await bob.opened()
    close = TurnsClose(turn=first.id, outcome="completed", usage=Usage(input_tokens=900, output_tokens=100))
    await bob.client.call(close, TurnsClosed, as_="bob")
    waiting = await fleet.send("bob")
    opened: list[Turn | None] = []

    async def park() -> None:
        opened.append(await bob.open(wait_s=180))

    midnight = (clock.now_ms() // DAY_MS + 1) * DAY_MS
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(park)
            await settled(bob.client)
            assert opened == []
            (shown,) = (agent for agent in (await fleet.status()).agents if agent.name == "bob")
            assert (shown.state, shown.until_ms, shown.tokens_today) == ("parked", midnight, 1000)
            assert "1,000 of 1,000 tokens" in shown.reason
            (ask,) = (await operator.call(AsksList(to_me=True), AsksListed)).asks
            assert (ask.asker, ask.options) == ("bob", ["+50 %", "no limit today", "no"])
            if by == "midnight":
                # The wait of 180 s is over long before; another one is let in as well.
                clock.advance(midnight - clock.now_ms() - 1)
                await fleet.keeper.do_what_is_due()
                group.start_soon(park)
                await settled(bob.client)
                clock.advance(1)
                await fleet.keeper.do_what_is_due()
            else:
                answer = AsksAnswer(key=new_key(), ask=ask.id, answer="+50 %")
                assert (await operator.call(answer, AsksAnswered)).message is None
    last = opened[-1]
    assert last is not None
    assert [mail.id for mail in last.mail] == [waiting.id]
    assert not (await operator.call(AsksList(to_me=True), AsksListed)).asks
