"""The turn loop against the real broker, with real programs, killed wherever they can be killed."""

import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.scenarios.programs import Fleet, fleet_in, is_gone
from wire.client import new_key
from wire.inbox import InboxSend, InboxSent

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

PATIENT = 50
"""Seconds that a scenario may take."""

WAITS_ONCE = """
import time
def run(agent):
    agent.say(agent.prompt)
    first = agent.state / "first"
    if not first.exists():
        first.touch()
        go = agent.state / "go"
        while not go.exists():
            time.sleep(0.01)
    for letter in agent.mail:
        agent.send(letter.sender, "done", in_reply_to=letter.id, key=letter.id)
"""

RECEIVES = """
def run(agent):
    agent.say("waiting")
    for letter in agent.mail + agent.recv(60):
        agent.send(letter.sender, f"got {letter.body}", in_reply_to=letter.id, key=letter.id)
"""

IGNORES_SIGTERM = """
import signal, time
def run(agent):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    agent.say("deaf")
    while True:
        time.sleep(1)
"""


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Fleet]:
    """One broker for all scenes of this file that do not need one of their own: each has its own agents."""
    async with fleet_in(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
async def fleet(broker: Fleet) -> AsyncGenerator[Fleet]:
    """The broker, and a scene in which harnesses are started."""
    async with broker.scene():
        yield broker


@pytest.fixture
async def own_fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker that knows no agent yet."""
    async with fleet_in(tmp_path) as fleet:
        yield fleet


def script(fleet: Fleet, code: str) -> str:
    """Write a script down."""
    path = fleet.home.root.parent / f"script-{hash(code)}.py"
    path.write_text(code)
    return str(path)


async def in_the_middle(fleet: Fleet, name: str, words: str) -> tuple[str, dict[str, Any]]:
    """Send mail to an agent that waits once, and wait until it does; gives the message and the turn file."""
    message = await fleet.send(name, words)
    turn = await fleet.running(name)
    await fleet.file(fleet.home.agent_state(name) / "first")
    return message, turn


async def test_mail_becomes_a_turn_and_an_answer(own_fleet: Fleet) -> None:
    """[P02] [P04]: from the operator to an agent and back, in one turn; agents that come later are hosted too."""
    fleet = own_fleet
    await fleet.add("alice", backend="scripted", script="echo")
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        ready = await harness.becomes_ready()
        assert ready is not None
        assert (ready["event"], ready["agents"]) == ("ready", ["alice"])
        assert ready["mcp"].startswith("http://127.0.0.1:")
        assert (await fleet.agent("alice")).last_turn is None
        message = await fleet.send("alice", "hello there")
        assert (await fleet.handled(message)).attempt == 1
        [answer] = await fleet.mailbox()
        assert (answer.sender, answer.body, answer.in_reply_to) == ("alice", "hello there", message)
        await fleet.add("bob", backend="scripted", script="echo")
        await fleet.handled(await fleet.send("bob", "welcome"))
        assert await harness.stop() == 0
        assert (await fleet.agent("alice")).attached is False
        await fleet.broker.stop()
        harness = await fleet.start_harness()
        assert await harness.ends() == 1
        assert "queenpost up" in harness.said.read_text()


async def test_a_killed_program_gives_its_mail_back(fleet: Fleet) -> None:
    """[H21]: SIGKILL in the middle of a turn; the mail comes again, marked, and is handled."""
    await fleet.add("killed", backend="scripted", script=script(fleet, WAITS_ONCE))
    harness = await fleet.start_harness("killed")
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        message, turn = await in_the_middle(fleet, "killed", "count to three")
        os.kill(turn["pid"], signal.SIGKILL)
        story = await fleet.handled(message)
        assert (story.attempt, story.failures) == (2, 1)
        assert "(redelivered, attempt 2" in await fleet.transcripts("killed")
        assert (await fleet.account()).lost == 0


async def test_mail_that_does_not_wait_interrupts_and_goes_first(fleet: Fleet) -> None:
    """[P03] Issue 4.3: uncounted for what was interrupted, which is handled with it."""
    await fleet.add("busy", backend="scripted", script=script(fleet, WAITS_ONCE))
    harness = await fleet.start_harness("busy")
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        message, turn = await in_the_middle(fleet, "busy", "a long job")
        urgent = await fleet.operator.call(InboxSend(key=new_key(), to="busy", body="stop that", now=True), InboxSent)
        story = await fleet.handled(urgent.id)
        assert (story.attempt, story.failures) == (1, 0)
        story = await fleet.handled(message)
        assert (story.attempt, story.failures) == (2, 0)
        assert is_gone(turn["pid"])
        assert (await fleet.account()).lost == 0


async def test_leftovers_of_a_dead_harness_are_ended_first(fleet: Fleet) -> None:
    """Ours: the program of the dead harness does not go on beside the one that takes its mail over."""
    await fleet.add("orphan", backend="scripted", script=script(fleet, WAITS_ONCE))
    with anyio.fail_after(PATIENT):
        first = await fleet.start_harness("orphan")
        await first.becomes_ready()
        message, turn = await in_the_middle(fleet, "orphan", "wait")
        await first.kill()
        assert not is_gone(turn["pid"])  # it lives on without its harness
        second = await fleet.start_harness("orphan", "--takeover")
        await second.becomes_ready()
        await fleet.handled(message)
    assert is_gone(turn["pid"])
    assert [record["pid"] for record in fleet.logged("harness-orphan", "leftover_killed")] == [turn["pid"]]


async def test_a_turn_outlives_a_killed_broker(fleet: Fleet) -> None:
    """[P14]: the program works on, the turn is resumed under its epoch, and its end is accepted."""
    await fleet.add("steady", backend="scripted", script=script(fleet, WAITS_ONCE))
    harness = await fleet.start_harness("steady")
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        message, turn = await in_the_middle(fleet, "steady", "take your time")
        await fleet.broker.kill()
        await fleet.start_broker()
        await fleet.until(lambda: fleet.agent("steady"), lambda agent: agent.attached)
        assert not is_gone(turn["pid"])
        (fleet.home.agent_state("steady") / "go").touch()
        story = await fleet.handled(message)
        assert (story.attempt, story.turn) == (1, turn["turn"])
        assert [item.body for item in await fleet.mailbox() if item.sender == "steady"] == ["done"]


async def test_a_recv_outlives_a_killed_broker(fleet: Fleet) -> None:
    """Ours: parked in a turn when the broker dies, it gets the mail that comes afterwards, in the same turn."""
    await fleet.add("patient", backend="scripted", script=script(fleet, RECEIVES))
    harness = await fleet.start_harness("patient")
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        first = await fleet.send("patient", "one")
        await fleet.until(lambda: fleet.transcripts("patient"), lambda text: "waiting" in text)
        await fleet.broker.kill()
        await fleet.start_broker()
        second = await fleet.send("patient", "two")
        stories = [await fleet.handled(first), await fleet.handled(second)]
        assert [story.attempt for story in stories] == [1, 1]
        assert stories[0].turn == stories[1].turn
        answers = [item.body for item in await fleet.mailbox() if item.sender == "patient"]
        assert sorted(answers) == ["got one", "got two"]


async def test_stopping_ends_a_deaf_program_within_its_time(fleet: Fleet) -> None:
    """DESIGN 2: SIGTERM, a second, SIGKILL; within ten, the mail is back, uncounted, the exit code 0."""
    await fleet.add("deaf", backend="scripted", script=script(fleet, IGNORES_SIGTERM))
    harness = await fleet.start_harness("deaf")
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        message = await fleet.send("deaf", "listen")
        turn = await fleet.running("deaf")
        await fleet.until(lambda: fleet.transcripts("deaf"), lambda text: "deaf" in text)
        with anyio.fail_after(10):
            assert await harness.stop() == 0
        assert is_gone(turn["pid"])
        story = await fleet.delivery(message)
        assert (story.state, story.failures) == ("queued", 0)
        assert not (fleet.home.agent_harness("deaf") / "turn.json").exists()


async def test_a_second_harness_is_turned_away_and_a_takeover_fences_the_first(fleet: Fleet) -> None:
    """[P14]: one holder at a time; the fenced one ends its program and goes on with the others."""
    await fleet.add("contested", backend="scripted", script=script(fleet, WAITS_ONCE))
    await fleet.add("neighbour", backend="scripted", script="echo")
    with anyio.fail_after(PATIENT):
        first = await fleet.start_harness("contested", "neighbour")
        await first.becomes_ready()
        message, turn = await in_the_middle(fleet, "contested", "wait")
        second = await fleet.start_harness("contested")
        assert await second.becomes_ready() is None
        assert await second.ends() == 1
        assert "works for contested at this moment" in second.said.read_text()
        third = await fleet.start_harness("contested", "--takeover")
        await third.becomes_ready()
        assert (await fleet.handled(message)).attempt == 2
        await fleet.handled(await fleet.send("neighbour", "are you there?"))
        assert is_gone(turn["pid"])


async def test_a_missing_program_parks_and_says_why(fleet: Fleet) -> None:
    """Ours: not the mail's fault, no hot loop, and the state tells a person what to do."""
    await fleet.add("lost", backend="command", command=["no-such-program"])
    harness = await fleet.start_harness("lost")
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        message = await fleet.send("lost", "hello?")
        agent = await fleet.until(lambda: fleet.agent("lost"), lambda agent: agent.state == "parked")
        assert "'no-such-program' cannot be started" in agent.reason
        assert (await fleet.delivery(message)).failures == 0
