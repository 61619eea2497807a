"""Many messages at once and many agents at once: counted in turns, programs and memory, never in seconds."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.scenarios.programs import Fleet, fleet_in
from wire.client import new_key
from wire.inbox import InboxSend, InboxSent

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

PATIENCE_S = 100
BURST = 100
CROWD = 50
MIB = 1024 * 1024

TAKES_WHAT_IT_IS_GIVEN = "def run(agent):\n    agent.say(f'read {len(agent.mail)}')\n"
DOES_WHAT_IT_READS = """
def run(agent):
    while agent.waiting:
        agent.recv_batch(32)
    agent.say("nothing tells me to go on")
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker without agents."""
    async with fleet_in(tmp_path) as fleet:
        yield fleet


async def turns_for_a_burst(fleet: Fleet, script: str) -> int:
    """Send many messages at once to a parked agent that follows a script; gives how many turns handled them."""
    await fleet.add("alice", backend="scripted", script=script)
    harness = await fleet.start_harness()
    assert await harness.becomes_ready(), harness.said.read_text()
    sent: list[str] = []

    async def send() -> None:
        answer = await fleet.operator.call(InboxSend(key=new_key(), to="alice", body="hello"), InboxSent)
        sent.append(answer.id)

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for _ in range(BURST):
                group.start_soon(send)
        return len({(await fleet.handled(message)).turn for message in sent})


async def test_a_burst_is_a_handful_of_turns(fleet: Fleet, tmp_path: Path) -> None:
    """[P02] "Must reach": 100 messages in a burst cause at most 5 turns of an agent that drains nothing."""
    script = tmp_path / "reads.py"
    script.write_text(TAKES_WHAT_IT_IS_GIVEN)
    assert await turns_for_a_burst(fleet, str(script)) <= 5


async def test_a_burst_is_two_turns_of_an_agent_that_drains(fleet: Fleet) -> None:
    """[P02] "Must reach": as the hint says; a turn holds 64 of them."""
    assert await turns_for_a_burst(fleet, "echo") <= 2


async def test_who_does_whatever_the_hint_says_comes_to_an_end(fleet: Fleet, tmp_path: Path) -> None:
    """Ours: a turn that is full does not say that `recv_batch` brings more; a model would ask for ever, and pay."""
    script = tmp_path / "literal.py"
    script.write_text(DOES_WHAT_IT_READS)
    assert await turns_for_a_burst(fleet, str(script)) <= 2


async def test_a_crowd_that_waits_runs_nothing_and_takes_little_room(fleet: Fleet) -> None:
    """[P02] "Must reach": idle agents start no program, and each of them needs less than 1 MiB of its harness."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("not run here: the system does not say how much memory a process has")
    await fleet.add("first", backend="command", command=["cat"])
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENCE_S):
        assert await harness.becomes_ready(), harness.said.read_text()
        await becomes_idle(fleet, "first")
        before = resident_bytes(harness.process.pid)
        for number in range(CROWD):
            await fleet.add(f"agent-{number}", backend="command", command=["cat"])
        for number in range(CROWD):
            await becomes_idle(fleet, f"agent-{number}")
    assert (resident_bytes(harness.process.pid) - before) / CROWD < MIB
    assert not list((fleet.home.root / "agents").glob("*/harness/transcripts/*"))


async def becomes_idle(fleet: Fleet, name: str) -> None:
    """Wait until an agent is attached and waits for mail."""
    await fleet.until(lambda: fleet.agent(name), lambda agent: agent.attached and agent.state == "idle")


def resident_bytes(pid: int) -> int:
    """Give how much memory a process has."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
