"""whoami and list_agents, in both protocol eras."""

from mcp import Client

from mcp_tools.handover import Place
from mcp_tools.rendering import MAX_REPLY_BYTES
from mcp_tools.server import build_server
from tests.fakes.desk import FakeDesk
from tests.mcp_tools.conftest import Era
from tests.mcp_tools.reading import text_of
from wire.agents import AgentsList, AgentsListed, AgentSummary, AgentsWho, AgentsWhoami, LastTurn, Peer
from wire.errors import Denied


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
    assert text_of(result) == ("unknown: there is no tool 'list_agents'; you have recv, recv_batch, send, whoami")
    assert not desk.requests


async def test_the_manager_lists_its_agents(era: Era) -> None:
    """Spec."""
    desk = FakeDesk("boss", "manager")
    last = LastTurn(id="t4", state="closed", outcome="completed", opened_at_ms=0, closed_at_ms=1)
    common = {"role": "agent", "backend": "none", "origin": "database"}
    desk.answers[AgentsList] = AgentsListed(
        agents=[
            AgentSummary.model_validate(
                {**common, "name": "bob", "state": "working", "ready": 2, "leased": 1, "last_turn": last}
            ),
            AgentSummary.model_validate({**common, "name": "carol", "state": "parked", "reason": "rate\nlimit"}),
        ]
    )
    place = Place(desk)
    async with Client(build_server("manager", lambda _: place), mode=era) as client:
        assert text_of(await client.call_tool("list_agents", {})).splitlines() == [
            "name, state, mail, last turn",
            "bob: working, 2 ready 1 leased, t4 completed",
            "carol: parked (rate limit), no mail, no turn yet",
        ]


async def test_a_refusal_is_text_with_its_code(client: Client, desk: FakeDesk) -> None:
    """Spec."""
    desk.answers[AgentsWhoami] = Denied("this token is void")
    result = await client.call_tool("whoami", {})
    assert result.is_error
    assert text_of(result) == "denied: this token is void"
