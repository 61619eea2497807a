"""Half an hour without a network, two hours asleep, with 50 messages queued: nothing dies, nothing is doubled.

Broker and harness run inside of the test, on a clock that it moves; the agent's program is a real one.
"""

import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from harness.app import HarnessSettings, run
from tests.fakes.broker import LocalBroker, short_home
from tests.scenarios.fleet import until
from tests.scenarios.truth import Store
from wire.clock import FakeClock
from wire.inbox import InboxList, InboxListed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

PATIENT = 45
QUEUED = 50
CUT_MS = 30 * 60 * 1000
ASLEEP_MS = 2 * 60 * 60 * 1000

WAITS_ONCE = """
import time
def run(agent):
    agent.say("at work")
    (agent.state / "first").touch()
    while not (agent.state / "go").exists():
        time.sleep(0.01)
    for letter in agent.mail:
        agent.send(letter.sender, f"done: {letter.body}", in_reply_to=letter.id, key=letter.id)
"""


@pytest.fixture
def clock() -> FakeClock:
    """Time that only the test lets pass."""
    return FakeClock()


@pytest.fixture
async def broker(clock: FakeClock) -> AsyncGenerator[LocalBroker]:
    """A broker inside of the test."""
    with short_home() as home:
        async with LocalBroker(home, clock=clock) as broker:
            await broker.operator()  # left behind every deadline of a test, so not entered within one
            yield broker


@asynccontextmanager
async def at_work(broker: LocalBroker, folder: Path) -> AsyncGenerator[list[str]]:
    """An agent works on a message, and 50 more wait; gives them all. At the end the harness is stopped."""
    script, state = folder / "waits.py", broker.home.agent_state("alice")
    script.write_text(WAITS_ONCE)
    await broker.add("alice", backend="scripted", script=str(script), batch_max=10)
    ready = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(run, HarnessSettings(broker.home), say=lambda line: ready.set()))
        await ready.wait()
        sent = [(await broker.send("alice", "the first")).id]
        await until((state / "first").exists)
        sent += [(await broker.send("alice", f"letter {number}")).id for number in range(QUEUED)]
        yield sent
        os.kill(os.getpid(), signal.SIGTERM)


@asynccontextmanager
async def no_network(broker: LocalBroker) -> AsyncGenerator[None]:
    """Neither a connection nor a new one: the harness is alone with its agent."""
    socket = broker.home.socket
    away = socket.rename(socket.with_name("away"))
    broker.end_of("harness").transport.abort()
    await is_attached(broker, False)
    yield
    away.rename(socket)


async def is_attached(broker: LocalBroker, attached: bool) -> None:
    """Wait until the broker sees the harness of the agent, or sees that it is gone."""
    while (await broker.agent("alice")).attached is not attached:  # noqa: ASYNC110  # nothing announces it
        await anyio.sleep(0.01)


async def handled_once(broker: LocalBroker, sent: list[str]) -> None:
    """Wait until all of it is handled, at its first attempt, and answered once."""
    for message in sent:
        while (story := (await broker.explain(message)).deliveries[0]).state != "handled":  # noqa: ASYNC110
            await anyio.sleep(0.01)
        assert (story.attempt, story.failures, story.restarts) == (1, 0, 0)
    listed = await (await broker.operator()).call(InboxList(agent="operator"), InboxListed)
    assert sorted(filter(None, (item.in_reply_to for item in listed.items))) == sorted(sent)
    assert Store(broker.home.database).wrong(sent) == []
    account = (await broker.status()).account
    assert (account.dead, account.redelivered, account.lost, account.waiting) == (0, 0, 0, 0)


@pytest.mark.parametrize("ends", ["meanwhile", "afterwards"])
async def test_a_network_that_is_cut_for_half_an_hour(
    broker: LocalBroker, clock: FakeClock, tmp_path: Path, ends: str
) -> None:
    """[H01] [Z1] Issue 4, DESIGN 5.7: the lease lapses, the turn goes on and is taken back; then the 50 are handled."""
    go = broker.home.agent_state("alice") / "go"
    with anyio.fail_after(PATIENT):
        async with at_work(broker, tmp_path) as sent:
            await broker.keeper.round()
            async with no_network(broker):
                clock.advance(CUT_MS)
                await broker.keeper.round()
                await broker.keeper.do_what_is_due()
                assert await broker.state_of(sent[0]) == "queued"
                if ends == "meanwhile":
                    go.touch()
            await is_attached(broker, True)
            go.touch()
            await handled_once(broker, sent)


async def test_a_machine_that_sleeps_for_two_hours(broker: LocalBroker, clock: FakeClock, tmp_path: Path) -> None:
    """[Z1] Issue 4, DESIGN 5.7: every lease gets a fresh period; the turn goes on, then the 50 are handled."""
    with anyio.fail_after(PATIENT):
        async with at_work(broker, tmp_path) as sent:
            await broker.keeper.round()
            clock.advance(ASLEEP_MS, suspended=True)
            await broker.keeper.round()
            await broker.keeper.do_what_is_due()
            assert await broker.state_of(sent[0]) == "in_turn"
            (broker.home.agent_state("alice") / "go").touch()
            await handled_once(broker, sent)
