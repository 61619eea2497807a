"""Notes that grow are made shorter between turns: real broker, real harness, scripted agents."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.scenarios.programs import Fleet, fleet_in, is_gone
from wire.statistics import AgentsCounted, AgentsStats

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

PATIENT = 50
"""Seconds that a scenario may take."""

GROWS = """
from harness.scripted.mcp_client import ToolError
def run(agent):
    agent.say(agent.prompt[-1500:])
    notes = agent.state / "notes.md"
    if "save_notes" not in agent.prompt:
        for letter in agent.mail:
            if letter.body == "write":
                notes.write_text("what I did\\n" * 1000)
            agent.send(letter.sender, "done", in_reply_to=letter.id, key=letter.id)
        return
    (agent.state / "session").write_text("began")
    {what}
"""

HANDS_IN = """
    for tool, arguments in (("send", {"to": "operator", "body": "hello"}), ("recv", {}), ("whoami", {})):
        try:
            agent._tools.call(tool, arguments)
        except ToolError as exc:
            agent.say(f"refused: {exc}")
    try:
        agent.save_notes("x" * 20000)
    except ToolError as exc:
        agent.say(f"refused: {exc}")
    agent.save_notes("# Notes\\nI did it a thousand times.")
"""

HANGS = """
    import time
    while True:
        time.sleep(1)
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker that knows no agent yet."""
    async with fleet_in(tmp_path) as made:
        yield made


async def add(fleet: Fleet, what: str) -> None:
    """Register the agent scribe, whose program does this where it is to make notes shorter."""
    path = fleet.home.root.parent / "scribe.py"
    path.write_text(GROWS.replace("    {what}\n", what))
    await fleet.add("scribe", backend="scripted", script=str(path), notes_max_bytes=1024)


async def test_notes_that_grew_are_made_shorter_and_the_agent_is_told(fleet: Fleet) -> None:
    """[H33] [H37]: by a session that has one tool and no mail; backup, difference and cost are kept."""
    await add(fleet, HANDS_IN)
    harness = await fleet.start_harness("scribe")
    notes = fleet.home.agent_state("scribe") / "notes.md"
    ours = fleet.home.agent_harness("scribe") / "notes"
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        await fleet.handled(await fleet.send("scribe", "write"))
        await fleet.file(ours / "news.json")
        assert notes.read_text() == "# Notes\nI did it a thousand times.\n"
        (former,) = ours.glob("*Z.md")
        assert former.read_text() == "what I did\n" * 1000
        assert "+I did it a thousand times." in next(ours.glob("*Z.diff")).read_text()
        said = (ours / "transcripts" / "notes.log").read_text()
        assert said.count("refused: unknown: there is no tool") == 3
        assert "you have save_notes" in said
        assert "refused: invalid: this text cannot take the place of the notes: it has 20000 bytes" in said
        await fleet.handled(await fleet.send("scribe", "and now?"))
        await fleet.handled(await fleet.send("scribe", "thank you"))
        assert (await fleet.transcripts("scribe")).count("was shortened from 10.7 to 0 KiB") == 1
        assert [item.body for item in await fleet.mailbox()] == ["done"] * 3
        counted = await fleet.operator.call(AgentsStats(agent="scribe"), AgentsCounted)
        assert counted.agents[0].turns == 4
        assert (await fleet.account()).lost == 0


async def test_a_harness_that_dies_meanwhile_leaves_the_notes_and_no_program(fleet: Fleet) -> None:
    """[H33]: kill -9; the next one ends the program that is left, handles the mail, and does not try again at once."""
    await add(fleet, HANGS)
    first = await fleet.start_harness("scribe")
    notes = fleet.home.agent_state("scribe") / "notes.md"
    with anyio.fail_after(PATIENT):
        await first.becomes_ready()
        await fleet.handled(await fleet.send("scribe", "write"))
        await fleet.file(fleet.home.agent_state("scribe") / "session")
        turn_file = await fleet.file(fleet.home.agent_harness("scribe") / "notes" / "turn.json")
        agent = await fleet.agent("scribe")
        assert (agent.state, agent.reason[:27]) == ("parked", "its notes are made shorter;")
        await first.kill()
        second = await fleet.start_harness("scribe", "--takeover")
        await second.becomes_ready()
        assert not turn_file.exists()
        (killed,) = fleet.logged("harness-scribe", "leftover_killed")
        assert is_gone(killed["pid"])
        await fleet.handled(await fleet.send("scribe", "are you there?"))
        await fleet.until(lambda: fleet.agent("scribe"), lambda agent: agent.state == "idle")
        assert notes.read_text() == "what I did\n" * 1000
        assert await second.stop() == 0


async def test_stopping_does_not_wait_for_it(fleet: Fleet) -> None:
    """[H33]: SIGTERM ends it like a turn; nothing is left behind."""
    await add(fleet, HANGS)
    harness = await fleet.start_harness("scribe")
    with anyio.fail_after(PATIENT):
        await harness.becomes_ready()
        await fleet.handled(await fleet.send("scribe", "write"))
        await fleet.file(fleet.home.agent_state("scribe") / "session")
        with anyio.fail_after(10):
            assert await harness.stop() == 0
        assert not (fleet.home.agent_harness("scribe") / "notes" / "turn.json").exists()
