"""A fleet that is restarted: the manager first, everybody told once; real broker and harness, scripted agents."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.scenarios.programs import Fleet, fleet_in
from wire.layout import LAYOUT

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

PATIENT = 50
"""Seconds that a scenario may take."""

WAITS = """
import time
def run(agent):
    agent.say(agent.prompt)
    (agent.state / "began").touch()
    go = agent.state / "go"
    while not go.exists():
        time.sleep(0.01)
    for letter in agent.mail:
        if letter.sender != "system":
            agent.send(letter.sender, "done", in_reply_to=letter.id, key=letter.id)
"""
TOLD = "The fleet was restarted, and you with it."


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker, a manager and an agent whose programs wait for a sign."""
    async with fleet_in(tmp_path) as made:
        path = tmp_path / "waits.py"
        path.write_text(WAITS)
        for name, role in (("alice", "agent"), ("boss", "manager")):
            await made.add(name, backend="scripted", script=str(path), role=role)
        yield made


async def begun(fleet: Fleet, *names: str) -> None:
    """Wait until the programs of agents wait for their signs."""
    for name in names:
        path = await fleet.file(fleet.home.agent_state(name) / "began")
        path.unlink()


async def test_the_manager_has_its_turn_before_others_get_their_mail_again(fleet: Fleet) -> None:
    """[H20]: broker and harness are killed in the middle of two turns; each agent is told once, with that mail."""
    first = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        await first.becomes_ready()
        messages = {name: await fleet.send(name, "a long job") for name in ("alice", "boss")}
        await begun(fleet, "alice", "boss")
        await first.kill()
        await fleet.broker.kill()
        (fleet.home.agent_state("alice") / "go").touch()
        await fleet.start_broker()
        second = await fleet.start_harness("--takeover")
        await second.becomes_ready()
        hosted = [record["agent"] for record in fleet.logged("harness", "agent_hosted")]
        assert hosted == ["boss", "alice", "boss", "alice"]
        await begun(fleet, "boss")
        assert (await fleet.delivery(messages["alice"])).state == "queued"
        assert not (fleet.home.agent_state("alice") / "began").exists()
        (fleet.home.agent_state("boss") / "go").touch()
        stories = {name: await fleet.handled(message) for name, message in messages.items()}
        assert [story.attempt for story in stories.values()] == [2, 2]
        for name in messages:
            assert (await fleet.transcripts(name)).count(TOLD) == 1
        assert (await fleet.account()).lost == 0


async def test_an_agent_without_mail_is_told_with_its_next(fleet: Fleet) -> None:
    """[H20] [P04]: the notice runs no program by itself, and several restarts are one."""
    (fleet.home.agent_state("alice")).mkdir(parents=True)
    (fleet.home.agent_state("alice") / "go").touch()
    with anyio.fail_after(PATIENT):
        for _ in range(3):
            harness = await fleet.start_harness()
            await harness.becomes_ready()
            assert await harness.stop() == 0
            await fleet.broker.stop()
            await fleet.start_broker()
        harness = await fleet.start_harness()
        await harness.becomes_ready()
        agent = await fleet.agent("alice")
        assert (agent.ready, agent.last_turn) == (0, None)
        await fleet.handled(await fleet.send("alice", "hello"))
        assert (await fleet.transcripts("alice")).count(TOLD) == 1


async def test_a_home_of_the_earlier_layout_is_brought_up_to_date_at_the_start(fleet: Fleet) -> None:
    """[H19]: the broker says in its log what it moved; a home of a newer layout is refused by both programs."""
    with anyio.fail_after(PATIENT):
        await fleet.broker.stop()
        fleet.home.layout.unlink()
        state = fleet.home.agent_state("alice")
        state.mkdir(parents=True)
        for name in ("hyperhive-model", "notes.md"):
            (state / name).write_text(name)
        await fleet.start_broker()
        assert [path.name for path in state.iterdir()] == ["notes.md"]
        assert (fleet.home.agent_harness("alice") / "hyperhive-model").read_text() == "hyperhive-model"
        (moved,) = fleet.logged("broker", "home_file_moved")
        assert "agents/alice/harness/hyperhive-model" in json.dumps(moved)
        await fleet.broker.stop()
        fleet.home.layout.write_text(f"{LAYOUT + 1}\n")
        broker = await fleet.start("-P", "-m", "broker")
        assert await broker.ends() == 1
        assert f"has layout {LAYOUT + 1}" in broker.said.read_text()
        harness = await fleet.start_harness()
        assert await harness.ends() == 1
        assert f"has layout {LAYOUT + 1}" in harness.said.read_text()
