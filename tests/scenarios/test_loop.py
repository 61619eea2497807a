"""The turn loop against the real broker, with real programs, killed wherever they can be killed."""

import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from harness.checkpoints import STEPS
from tests.scenarios.programs import Fleet, fleet_in

PATIENT = 18
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

IGNORES_SIGTERM = """
import signal, time
def run(agent):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    agent.say("deaf")
    while True:
        time.sleep(1)
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker and its operator."""
    async with fleet_in(tmp_path) as fleet:
        yield fleet


def script(fleet: Fleet, code: str) -> str:
    """Write a script down."""
    path = fleet.home.root.parent / "script.py"
    path.write_text(code)
    return str(path)


async def test_mail_becomes_a_turn_and_an_answer(fleet: Fleet) -> None:
    """[P02] [P04]: from the operator to an agent and back, in one turn; idle before and after."""
    await fleet.add("alice", backend="scripted", script="echo")
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        ready = await harness.becomes_ready()
        assert ready is not None
        assert (ready["event"], ready["agents"]) == ("ready", ["alice"])
        assert ready["mcp"].startswith("http://127.0.0.1:")
        assert (await fleet.agent("alice")).last_turn is None
        message = await fleet.send("alice", "hello there")
        story = await fleet.handled(message)
        assert story.attempt == 1
        [answer] = await fleet.mailbox()
        assert (answer.sender, answer.body, answer.in_reply_to) == ("alice", "hello there", message)
        assert await harness.stop() == 0
        assert (await fleet.agent("alice")).attached is False


async def test_a_killed_program_gives_its_mail_back(fleet: Fleet) -> None:
    """[H21]: SIGKILL in the middle of a turn; the mail comes again, marked, and is handled."""
    await fleet.add("alice", backend="scripted", script=script(fleet, WAITS_ONCE))
    harness = await fleet.start_harness("alice")
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        message = await fleet.send("alice", "count to three")
        turn = await fleet.running("alice")
        await fleet.file(fleet.home.agent_state("alice") / "first")
        os.kill(turn["pid"], signal.SIGKILL)
        story = await fleet.handled(message)
        assert (story.attempt, story.failures) == (2, 1)
        transcripts = fleet.transcripts("alice")
        assert "(redelivered, attempt 2" in transcripts
        assert (await fleet.account()).lost == 0


@pytest.mark.parametrize("step", STEPS)
async def test_a_harness_that_dies_at_any_step_loses_nothing(fleet: Fleet, step: str) -> None:
    """[H21] [Z1]: kill -9 there; the next harness handles the mail, and the answer goes out once."""
    await survive(fleet, step, times=1)


@pytest.mark.torture
@pytest.mark.timeout(120)
@pytest.mark.parametrize("step", STEPS)
async def test_five_deaths_in_a_row_at_one_step(fleet: Fleet, step: str) -> None:
    """[Z1]: the same, five times over the same fleet."""
    await survive(fleet, step, times=5)


async def survive(fleet: Fleet, step: str, *, times: int) -> None:
    """Let a harness die at a step with mail in hand, and another one take over, again and again."""
    await fleet.add("alice", backend="scripted", script="echo")
    sent: list[str] = []
    with anyio.fail_after(PATIENT * times):
        for number in range(times):
            sent.append(await fleet.send("alice", f"message {number}"))
            mortal = await fleet.start_harness("alice", "--takeover", mortal_at=step)
            assert await mortal.ends() == -signal.SIGKILL
            after = await fleet.start_harness("alice", "--takeover")
            assert await after.becomes_ready(), after.said.read_text()
            story = await fleet.handled(sent[-1])
            assert story.attempt == (1 if step == "closed" else 2)
            assert await after.stop() == 0
        answers = [(item.in_reply_to, item.body) for item in await fleet.mailbox()]
        account = await fleet.account()
    assert sorted(answers) == sorted((message, f"message {number}") for number, message in enumerate(sent))
    assert (account.lost, account.waiting, account.handled) == (0, 0, times)


async def test_leftovers_of_a_dead_harness_are_ended_first(fleet: Fleet) -> None:
    """Ours: the program of the dead harness does not go on beside the one that takes its mail over."""
    await fleet.add("alice", backend="scripted", script=script(fleet, WAITS_ONCE))
    with anyio.fail_after(PATIENT):
        first = await fleet.start_harness("alice")
        await first.becomes_ready()
        message = await fleet.send("alice", "wait")
        turn = await fleet.running("alice")
        await fleet.file(fleet.home.agent_state("alice") / "first")
        await first.kill()
        os.kill(turn["pid"], 0)  # it lives on without its harness
        second = await fleet.start_harness("alice", "--takeover")
        await second.becomes_ready()
        await fleet.handled(message)
        assert f'"pid": {turn["pid"]}' in _log(fleet, "harness-alice") or f'"pid":{turn["pid"]}' in _log(
            fleet, "harness-alice"
        )
        with pytest.raises(ProcessLookupError):
            os.killpg(turn["pid"], 0)


def _log(fleet: Fleet, program: str) -> str:
    return (fleet.home.logs / f"{program}.ndjson").read_text()


async def test_a_turn_outlives_a_killed_broker(fleet: Fleet) -> None:
    """[P14]: the program works on, the turn is resumed under its epoch, and its end is accepted."""
    await fleet.add("alice", backend="scripted", script=script(fleet, WAITS_ONCE))
    harness = await fleet.start_harness("alice")
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        message = await fleet.send("alice", "take your time")
        turn = await fleet.running("alice")
        await fleet.file(fleet.home.agent_state("alice") / "first")
        await fleet.broker.kill()
        await fleet.start_broker()
        await fleet.until(lambda: fleet.agent("alice"), lambda agent: agent.attached)
        os.kill(turn["pid"], 0)
        (fleet.home.agent_state("alice") / "go").touch()
        story = await fleet.handled(message)
        assert (story.attempt, story.turn) == (1, turn["turn"])
        assert [item.body for item in await fleet.mailbox()] == ["done"]


async def test_stopping_ends_a_deaf_program_within_its_time(fleet: Fleet) -> None:
    """Ours: SIGTERM, two seconds, SIGKILL; the mail is back, uncounted, the exit code 0."""
    await fleet.add("alice", backend="scripted", script=script(fleet, IGNORES_SIGTERM))
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        message = await fleet.send("alice", "listen")
        turn = await fleet.running("alice")
        await fleet.until(_lines_of(fleet, "alice"), lambda text: "deaf" in text)
        with anyio.fail_after(5):
            assert await harness.stop() == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(turn["pid"], 0)
        story = await fleet.delivery(message)
        assert (story.state, story.failures) == ("queued", 0)
        assert not (fleet.home.agent_harness("alice") / "turn.json").exists()


def _lines_of(fleet: Fleet, agent: str):  # noqa: ANN202
    async def look() -> str:
        return fleet.transcripts(agent)

    return look


async def test_a_second_harness_is_turned_away_and_a_takeover_fences_the_first(fleet: Fleet) -> None:
    """[P14]: one holder at a time; the fenced one ends its program and stays up for others."""
    await fleet.add("alice", backend="scripted", script=script(fleet, WAITS_ONCE))
    await fleet.add("bob", backend="scripted", script="echo")
    with anyio.fail_after(PATIENT):
        first = await fleet.start_harness("alice", "bob")
        await first.becomes_ready()
        message = await fleet.send("alice", "wait")
        turn = await fleet.running("alice")
        await fleet.file(fleet.home.agent_state("alice") / "first")
        second = await fleet.start_harness("alice")
        assert await second.becomes_ready() is None
        assert await second.ends() == 1
        assert "works for alice at this moment" in second.said.read_text()
        third = await fleet.start_harness("alice", "--takeover")
        await third.becomes_ready()
        story = await fleet.handled(message)
        assert story.attempt == 2
        await fleet.handled(await fleet.send("bob", "are you there?"))
        with pytest.raises(ProcessLookupError):
            os.killpg(turn["pid"], 0)


async def test_agents_come_and_change_while_it_runs(fleet: Fleet) -> None:
    """Ours: without names, an agent that is added later is hosted at once."""
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        assert (await harness.becomes_ready() or {})["agents"] == []
        await fleet.add("alice", backend="scripted", script="echo")
        await fleet.handled(await fleet.send("alice", "welcome"))


async def test_a_missing_program_parks_and_says_why(fleet: Fleet) -> None:
    """[P08]: not the mail's fault, no hot loop, and the state tells a person what to do."""
    await fleet.add("alice", backend="command", command=["no-such-program"])
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        message = await fleet.send("alice", "hello?")
        agent = await fleet.until(lambda: fleet.agent("alice"), lambda agent: agent.state == "parked")
        assert "'no-such-program' cannot be started" in agent.reason
        assert (await fleet.delivery(message)).failures == 0


async def test_without_a_broker_it_ends_and_says_what_to_do(fleet: Fleet) -> None:
    """[P10]: exit code 1 and the command to type."""
    with anyio.fail_after(PATIENT):
        await fleet.broker.stop()
        harness = await fleet.start_harness()
        assert await harness.ends() == 1
        assert "queenpost up" in harness.said.read_text()
