"""A server that takes its agent before the first recv, as `queenpost claude` starts it."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from tests.mcp_tools.conftest import Era
from tests.mcp_tools.fleet import Fleet, running_fleet
from tests.mcp_tools.reading import text_of
from wire.agents import AgentsShow, AgentsShown

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker without agents."""
    async with running_fleet(tmp_path) as fleet:
        yield fleet


def at_once(fleet: Fleet, agent: str) -> StdioServerParameters:
    """Start the server as a session does."""
    arguments = ["-P", "-m", "mcp_tools", "--agent", agent, "--home", str(fleet.home.root), "--attach"]
    return StdioServerParameters(command=sys.executable, args=arguments)


async def attached(fleet: Fleet, agent: str, wanted: bool) -> None:
    """Wait until somebody works for an agent, or nobody does."""
    with anyio.fail_after(15):
        while await is_attached(fleet, agent) is not wanted:  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)


async def is_attached(fleet: Fleet, agent: str) -> bool:
    """Say whether somebody works for an agent."""
    return (await fleet.operator.call(AgentsShow(agent=agent), AgentsShown)).agent.attached


async def test_the_agent_is_taken_when_the_client_knows_the_tools(fleet: Fleet, era: Era) -> None:
    """[P02] Not before: whoever is woken because of it has to be able to call recv. And let go at the end."""
    alice = await fleet.add("alice")
    with anyio.fail_after(30):
        async with Client(at_once(fleet, alice), mode=era) as client:
            assert not await is_attached(fleet, alice)
            await client.list_tools()
            await attached(fleet, alice, True)
            message = await fleet.send(alice, "hello")
            assert "hello" in text_of(await client.call_tool("recv", {}))
        await attached(fleet, alice, False)
        await fleet.reaches(message, "queued")


async def test_where_somebody_else_has_the_agent_the_first_recv_says_so(fleet: Fleet, era: Era) -> None:
    """[H21] The server starts all the same: send works, and the model is told."""
    alice = await fleet.add("alice")
    with anyio.fail_after(30):
        async with Client(at_once(fleet, alice), mode=era) as first, Client(at_once(fleet, alice), mode=era) as second:
            await first.list_tools()
            await attached(fleet, alice, True)
            await second.list_tools()
            assert "another session takes the mail" in text_of(await second.call_tool("recv", {}))
