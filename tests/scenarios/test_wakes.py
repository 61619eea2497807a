"""Nobody with mail is left asleep: whatever comes in between, a parked open returns the moment mail is there."""

from collections.abc import Iterator

import anyio
import pytest

from tests.fakes.broker import BrokerProcess, short_home
from tests.scenarios.fleet import PATIENCE_S, Worker, settled
from wire.agents import AgentsChanged, AgentsPause, AgentsResume
from wire.client import new_key
from wire.home import Home

pytestmark = pytest.mark.anyio

LONG_S = 180.0
"""A wait that no test would see the end of: who wakes was woken."""


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


async def woken(worker: Worker) -> list[str]:
    """Wait for mail without looking twice, handle it, and give its bodies."""
    with anyio.fail_after(PATIENCE_S):
        turn = await worker.open(wait_s=LONG_S)
        assert turn is not None
        await worker.close(turn.id)
        return [mail.body for mail in turn.mail]


async def test_a_send_and_an_open_at_the_same_moment_always_meet(home: Home) -> None:
    """[H21] [H02] DESIGN 5.2: in whichever order the two arrive, over two connections, 300 times."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        for number in range(300):
            got: list[str] = []

            async def wait(got: list[str] = got) -> None:
                got += await woken(bob)

            async with anyio.create_task_group() as group:
                if number % 2:
                    group.start_soon(wait)
                    await fleet.send("bob", str(number))
                else:
                    group.start_soon(fleet.send, "bob", str(number))
                    await wait()
            assert got == [str(number)]


async def test_whoever_is_parked_when_the_broker_dies_is_woken_by_the_next_one(home: Home) -> None:
    """[H21] [P02]: the wait goes on over the restart; mail that comes afterwards ends it."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        got: list[str] = []

        async def wait() -> None:
            got.extend(await woken(bob))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await settled(bob.client)
            await fleet.restart()
            await settled(bob.client)
            assert got == []
            await fleet.send("bob", "after the restart")
        assert got == ["after the restart"]


async def test_mail_that_came_while_a_turn_ran_wakes_right_after_it(home: Home) -> None:
    """[H21] DESIGN 5.5: nothing is remembered as "seen" by a turn that did not hold it."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        await fleet.send("bob", "first")
        turn = await bob.opened()
        await fleet.send("bob", "second")
        await bob.close(turn.id)
        assert await woken(bob) == ["second"]


async def test_mail_that_goes_back_wakes_whoever_is_next(home: Home) -> None:
    """[H21]: given back, interrupted, or lost with its holder: the next open gets it at once, marked."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        sent = await fleet.send("bob")
        turn = await bob.opened()
        await bob.close(turn.id, "interrupted")
        again = await bob.opened()
        assert [(mail.id, mail.attempt) for mail in again.mail] == [(sent.id, 2)]
        await bob.give_back(again.id, sent.id)
        await bob.close(again.id)
        third = await bob.opened()
        assert [(mail.id, mail.attempt) for mail in third.mail] == [(sent.id, 3)]
        taker = await fleet.worker("bob", takeover=True)
        fourth = await taker.opened()
        assert [(mail.id, mail.attempt) for mail in fourth.mail] == [(sent.id, 4)]


async def test_resuming_a_paused_agent_wakes_it_for_the_mail_that_collected(home: Home) -> None:
    """[H21] DESIGN 5.18: a parked open stays parked through a pause and returns with its end."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        operator = await fleet.operator()
        got: list[str] = []

        async def wait() -> None:
            got.extend(await woken(bob))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await settled(bob.client)
            await operator.call(AgentsPause(key=new_key(), agent="bob"), AgentsChanged)
            await fleet.send("bob", "collected")
            await settled(bob.client)
            assert got == []
            await operator.call(AgentsResume(key=new_key(), agent="bob"), AgentsChanged)
        assert got == ["collected"]


async def test_a_burst_opens_one_turn_not_one_each(home: Home) -> None:
    """[P04] DESIGN 5.2: 100 messages cost few turns; an agent without mail costs none."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob", "idle")
        bob, idle = await fleet.harness("bob", "idle")
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(fleet.send, "bob", str(number))
        bodies: list[str] = []
        opened = 0
        while len(bodies) < 100:
            bodies += await woken(bob)
            opened += 1
        assert sorted(map(int, bodies)) == list(range(100))
        assert opened <= 4
        assert await idle.open(wait_s=0) is None
