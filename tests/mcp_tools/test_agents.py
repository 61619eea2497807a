"""whoami, and the manager's list_agents, pause_agent, resume_agent; in both protocol eras."""

from collections.abc import AsyncGenerator
from typing import get_args

import pytest
from mcp import Client

from mcp_tools.handover import Place
from mcp_tools.rendering import MAX_REPLY_BYTES
from mcp_tools.server import build_server
from tests.fakes.desk import FakeDesk
from tests.mcp_tools.conftest import Era
from tests.mcp_tools.reading import text_of
from wire.agents import (
    AgentsChanged,
    AgentsList,
    AgentsListed,
    AgentsPause,
    AgentsResume,
    AgentState,
    AgentSummary,
    AgentsWho,
    AgentsWhoami,
    LastTurn,
    Peer,
)
from wire.errors import Denied, Unknown


def who(roster: list[Peer]) -> AgentsWho:
    """Make the broker's answer for alice."""
    return AgentsWho(name="alice", role="agent", fleet="demo", manager="boss", roster=roster, waiting=3, open_turn=None)


async def test_whoami_says_name_role_roster_and_whom_one_may_write_to(client: Client, desk: FakeDesk) -> None:
    """Spec. [P13]"""
    desk.answers[AgentsWhoami] = who(
        [
            Peer(name="boss", role="manager", state="idle", may_write=True),
            Peer(name="bob", role="agent", state="working", may_write=True),
            Peer(name="carol", role="agent", state="away", may_write=False),
        ]
    )
    assert text_of(await client.call_tool("whoami", {})).splitlines() == [
        "You are alice, role agent, in fleet demo; manager: boss.",
        "Messages waiting: 3.",
        "You may write to operator and:",
        "boss (manager): idle",
        "bob: working",
        "carol: away, not allowed",
    ]


async def test_whoami_counts_what_is_open(client: Client, desk: FakeDesk) -> None:
    """DESIGN 9: open asks, where there are any. [P13]"""
    desk.answers[AgentsWhoami] = who([]).model_copy(update={"asked": 2, "to_answer": 1})
    assert "Open asks: 2 of yours, 1 for you to answer." in text_of(await client.call_tool("whoami", {})).splitlines()


async def test_a_large_roster_is_cut_at_the_bound_of_a_reply(client: Client, desk: FakeDesk) -> None:
    """Spec: every reply is at most 24 KiB."""
    roster = [Peer(name=f"worker-{number:06}", role="agent", state="idle", may_write=True) for number in range(5000)]
    desk.answers[AgentsWhoami] = who(roster)
    text = text_of(await client.call_tool("whoami", {}))
    assert len(text.encode()) <= MAX_REPLY_BYTES
    shown = text.count("worker-")
    assert text.endswith(f"(+{5000 - shown} more)")


async def test_an_agent_has_no_list_agents(client: Client, desk: FakeDesk) -> None:
    """Spec: for the manager only."""
    result = await client.call_tool("list_agents", {})
    assert result.is_error
    assert text_of(result).startswith("unknown: there is no tool 'list_agents'; you have recv, recv_batch, send, ask,")
    assert not desk.requests


async def test_the_manager_lists_its_agents(manager: Client, boss: FakeDesk) -> None:
    """Spec."""
    last = LastTurn(id="t4", state="closed", outcome="completed", opened_at_ms=0, closed_at_ms=1)
    common = {"role": "agent", "backend": "none", "origin": "database"}
    boss.answers[AgentsList] = AgentsListed(
        agents=[
            AgentSummary.model_validate(
                {**common, "name": "bob", "state": "working", "ready": 2, "leased": 1, "last_turn": last}
            ),
            AgentSummary.model_validate({**common, "name": "carol", "state": "parked", "reason": "rate\nlimit"}),
        ]
    )
    assert text_of(await manager.call_tool("list_agents", {})).splitlines() == [
        "name, state, mail, last turn",
        "bob: working, 2 ready 1 leased, t4 completed",
        "carol: parked (rate limit), no mail, no turn yet",
    ]


@pytest.fixture
def boss() -> FakeDesk:
    """The manager's desk."""
    return FakeDesk("boss", "manager")


@pytest.fixture
async def manager(boss: FakeDesk, era: Era) -> AsyncGenerator[Client]:
    """A client of the manager's surface."""
    place = Place(boss)
    async with Client(build_server("manager", lambda _: place), mode=era) as client:
        yield client


def bob(state: AgentState, reason: str = "") -> AgentsListed:
    """Answer a listing: bob in this state, beside another one."""
    common = {"role": "agent", "backend": "none", "origin": "database"}
    rows = [{**common, "name": "bob", "state": state, "reason": reason, "ready": 2}]
    rows.append({**common, "name": "carol", "state": "idle"})
    return AgentsListed(agents=[AgentSummary.model_validate(row) for row in rows])


@pytest.mark.parametrize("state", get_args(AgentState))
async def test_the_manager_reads_every_state_by_its_word(manager: Client, boss: FakeDesk, state: AgentState) -> None:
    """Spec (DESIGN 10): the same words as in `status`."""
    boss.answers[AgentsList] = bob(state)
    text = text_of(await manager.call_tool("list_agents", {}))
    assert f"\nbob: {state}, 2 ready, no turn yet\n" in text


async def test_the_manager_pauses_an_agent_and_reads_its_state(manager: Client, boss: FakeDesk) -> None:
    """Spec: the word is the broker's; the running turn finishes first."""
    boss.answers[AgentsPause] = AgentsChanged(agent="bob", changed=True)
    boss.answers[AgentsList] = bob("paused", "finishes its turn first")
    text = text_of(await manager.call_tool("pause_agent", {"name": "bob"}))
    assert text == "bob: paused (finishes its turn first), 2 ready, no turn yet"
    request = boss.requests[0]
    assert isinstance(request, AgentsPause)
    assert request.agent == "bob"


async def test_the_manager_resumes_an_agent(manager: Client, boss: FakeDesk) -> None:
    """Spec: doing it again changes nothing, and says so."""
    boss.answers[AgentsResume] = AgentsChanged(agent="bob", changed=False)
    boss.answers[AgentsList] = bob("away", "no session is connected")
    text = text_of(await manager.call_tool("resume_agent", {"name": "bob"}))
    assert text == "bob: away (no session is connected), 2 ready, no turn yet\n(bob was not paused)"


async def test_an_agent_that_is_not_there_cannot_be_paused(manager: Client, boss: FakeDesk) -> None:
    """Spec."""
    boss.answers[AgentsPause] = Unknown("no agent 'dave' in this fleet")
    result = await manager.call_tool("pause_agent", {"name": "dave"})
    assert result.is_error
    assert text_of(result) == "unknown: no agent 'dave' in this fleet"


@pytest.mark.parametrize("tool", ["pause_agent", "resume_agent"])
async def test_only_the_manager_may_pause(client: Client, desk: FakeDesk, tool: str) -> None:
    """Spec: an agent does not even see the tool."""
    result = await client.call_tool(tool, {"name": "bob"})
    assert result.is_error
    assert not desk.requests


async def test_a_refusal_is_text_with_its_code(client: Client, desk: FakeDesk) -> None:
    """Spec."""
    desk.answers[AgentsWhoami] = Denied("this token is void")
    result = await client.call_tool("whoami", {})
    assert result.is_error
    assert text_of(result) == "denied: this token is void"
