"""The broker killed and started 20 times while turns run: each goes on, and is acked once."""

import json
from collections.abc import AsyncGenerator
from itertools import cycle, islice
from pathlib import Path

import anyio
import pytest

from tests.scenarios.forks import brokers
from tests.scenarios.programs import Fleet, fleet_in, is_gone
from tests.scenarios.truth import Store

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

RESTARTS = 20
PATIENT = 60
AGENTS = ("alice", "bob", "carol")

WAITS_FOR_EACH = """
import time
def run(agent):
    agent.say("at work")
    for letter in agent.mail:
        while not (agent.state / letter.id).exists():
            time.sleep(0.005)
        agent.send(letter.sender, f"done: {letter.body}", in_reply_to=letter.id, key=letter.id)
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A fleet of three; each of their turns waits for a file."""
    (tmp_path / "waits.py").write_text(WAITS_FOR_EACH)
    async with fleet_in(tmp_path) as fleet:
        for name in AGENTS:
            await fleet.add(name, backend="scripted", script=str(tmp_path / "waits.py"), batch_max=1)
        yield fleet


class Running:
    """A turn that runs now."""

    def __init__(self, fleet: Fleet, agent: str, message: str, turn: str, pid: int) -> None:
        self._fleet = fleet
        self._agent = agent
        self._turn = turn
        self.message = message
        self.pid = pid

    def release(self) -> None:
        """Let the program come to its end."""
        (self._fleet.home.agent_state(self._agent) / self.message).touch()

    async def was_acked(self) -> None:
        """It was this turn that handled the mail, at its first attempt."""
        story = await self._fleet.handled(self.message)
        assert (story.attempt, story.turn, story.failures, story.restarts) == (1, self._turn, 0, 0)


async def begin(fleet: Fleet, agent: str) -> Running:
    """Send and wait until the program works on it."""
    message = await fleet.send(agent, f"for {agent}")
    path = fleet.home.agent_harness(agent) / "turn.json"

    async def look() -> dict[str, object] | None:
        note = json.loads(path.read_text()) if path.exists() else None
        return note if note and note["mail"] == [message] else None

    note = await fleet.until(look, bool)
    return Running(fleet, agent, message, note["turn"], note["pid"])


async def test_turns_go_on_over_20_deaths_of_the_broker(fleet: Fleet) -> None:
    """[P14] Issue 4: each of three turns lives through several; one ends each time, the half of them with no broker."""
    sent: list[str] = []
    with anyio.fail_after(PATIENT):
        assert await (await fleet.start_harness(*AGENTS)).becomes_ready()
        turns = {agent: await begin(fleet, agent) for agent in AGENTS}
        await fleet.broker.kill()
        async with brokers(fleet) as nursery:
            await nursery.start()
            for number, agent in enumerate(islice(cycle(AGENTS), RESTARTS)):
                await nursery.kill()
                if number % 2:
                    turns[agent].release()
                await nursery.start()
                await fleet.until(lambda: attached(fleet), bool)
                assert not any(is_gone(turn.pid) for name, turn in turns.items() if name != agent)
                turns[agent].release()
                await turns[agent].was_acked()
                sent.append(turns[agent].message)
                turns[agent] = await begin(fleet, agent)
            for turn in turns.values():
                turn.release()
                await turn.was_acked()
                sent.append(turn.message)
            answers = [item.in_reply_to for item in await fleet.mailbox()]
            assert sorted(filter(None, answers)) == sorted(sent)
            assert Store(fleet.home.database).wrong(sent) == []
            assert (await fleet.account()).redelivered == 0


async def attached(fleet: Fleet) -> bool:
    """Say whether everybody is back."""
    return all([(await fleet.agent(name)).attached for name in AGENTS])
