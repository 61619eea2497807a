"""The tools about agents: whoami for everyone, list_agents for the manager."""

from collections.abc import Iterable

from mcp_tools.rendering import MAX_REPLY_BYTES
from mcp_tools.tool import Arguments, Call, Tool
from wire.agents import AgentsList, AgentsListed, AgentSummary, AgentsWho, AgentsWhoami, Peer
from wire.escaping import escape

_REASON_CHARACTERS = 80


class Nothing(Arguments):
    """No arguments."""


async def whoami(call: Call, _: Nothing) -> str:
    """Say who the caller is and whom it may write to."""
    who = await call.desk.call(AgentsWhoami(), AgentsWho)
    manager = "you are its manager" if who.role == "manager" else f"manager: {who.manager or 'none'}"
    head = f"You are {who.name}, role {who.role}, in fleet {escape(who.fleet)}; {manager}."
    mail = f"Messages waiting: {who.waiting}."
    return _within_reply([head, mail, "You may write to operator and:", *map(_peer, who.roster)])


def _peer(peer: Peer) -> str:
    manager = " (manager)" if peer.role == "manager" else ""
    refused = "" if peer.may_write else ", not allowed"
    return f"{peer.name}{manager}: {peer.state}{refused}"


async def list_agents(call: Call, _: Nothing) -> str:
    """Show the fleet to its manager."""
    listed = await call.desk.call(AgentsList(), AgentsListed)
    return _within_reply(["name, state, mail, last turn", *map(_summary, listed.agents)])


def _summary(agent: AgentSummary) -> str:
    counts = {"ready": agent.ready, "leased": agent.leased, "held": agent.held, "dead": agent.dead}
    mail = " ".join(f"{count} {word}" for word, count in counts.items() if count) or "no mail"
    reason = f" ({escape(' '.join(agent.reason.split())[:_REASON_CHARACTERS])})" if agent.reason else ""
    turn = agent.last_turn
    last = f"{turn.id} {turn.outcome or turn.state}" if turn else "no turn yet"
    return f"{agent.name}: {agent.state}{reason}, {mail}, {last}"


def _within_reply(lines: Iterable[str]) -> str:
    """Join lines up to the bound of a reply and say how many did not fit."""
    kept: list[str] = []
    left_out, room = 0, MAX_REPLY_BYTES - 64
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            left_out += 1
        else:
            kept.append(line)
    return "\n".join([*kept, f"(+{left_out} more)"] if left_out else kept)


TOOLS = (
    Tool(
        "whoami",
        "Your name and role, waiting mail, the other agents with their state, and whom you may write to.",
        Nothing,
        whoami,
        reads_only=True,
    ),
    Tool(
        "list_agents",
        "Every agent with state, mail counts and last turn.",
        Nothing,
        list_agents,
        reads_only=True,
        manager_only=True,
    ),
)
