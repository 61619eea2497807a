"""The tools about agents: whoami for everyone; list_agents, pause_agent and resume_agent for the manager."""

from mcp_tools.rendering import within_reply
from mcp_tools.tool import Arguments, Call, Tool
from wire.agents import (
    AgentsChanged,
    AgentsList,
    AgentsListed,
    AgentsPause,
    AgentsResume,
    AgentSummary,
    AgentsWho,
    AgentsWhoami,
    Peer,
)
from wire.client import new_key
from wire.escaping import escape
from wire.inbox import Address

_REASON_CHARACTERS = 80


class Nothing(Arguments):
    """No arguments."""


class OneAgent(Arguments):
    """Arguments of pause_agent and resume_agent."""

    name: Address


async def whoami(call: Call, _: Nothing) -> str:
    """Say who the caller is and whom it may write to."""
    who = await call.desk.call(AgentsWhoami(), AgentsWho)
    manager = "you are its manager" if who.role == "manager" else f"manager: {who.manager or 'none'}"
    head = f"You are {who.name}, role {who.role}, in fleet {escape(who.fleet)}; {manager}."
    mail = f"Messages waiting: {who.waiting}."
    mine, to_me = who.asked, who.to_answer
    asks = [f"Open asks: {mine} of yours, {to_me} for you to answer."] if mine or to_me else []
    reminders = [f"Reminders that wait: {who.reminders}."] if who.reminders else []
    return within_reply([head, mail, *asks, *reminders, "You may write to operator and:", *map(_peer, who.roster)])


def _peer(peer: Peer) -> str:
    manager = " (manager)" if peer.role == "manager" else ""
    refused = "" if peer.may_write else ", not allowed"
    return f"{peer.name}{manager}: {peer.state}{refused}"


async def list_agents(call: Call, _: Nothing) -> str:
    """Show the fleet to its manager."""
    listed = await call.desk.call(AgentsList(), AgentsListed)
    return within_reply(["name, state, mail, last turn", *map(_summary, listed.agents)])


def _summary(agent: AgentSummary) -> str:
    counts = {"ready": agent.ready, "leased": agent.leased, "held": agent.held, "dead": agent.dead}
    mail = " ".join(f"{count} {word}" for word, count in counts.items() if count) or "no mail"
    reason = f" ({escape(' '.join(agent.reason.split())[:_REASON_CHARACTERS])})" if agent.reason else ""
    turn = agent.last_turn
    last = f"{turn.id} {turn.outcome or turn.state}" if turn else "no turn yet"
    return f"{agent.name}: {agent.state}{reason}, {mail}, {last}"


async def pause_agent(call: Call, arguments: OneAgent) -> str:
    """Keep an agent from opening turns."""
    return await _change(call, AgentsPause(key=new_key(), agent=arguments.name), "was paused already")


async def resume_agent(call: Call, arguments: OneAgent) -> str:
    """Let an agent open turns again."""
    return await _change(call, AgentsResume(key=new_key(), agent=arguments.name), "was not paused")


async def _change(call: Call, request: AgentsPause | AgentsResume, was_so: str) -> str:
    """Make a change and say in which state the agent is now; the word for it is the broker's."""
    changed = await call.desk.call(request, AgentsChanged)
    listed = await call.desk.call(AgentsList(), AgentsListed)
    now = [_summary(agent) for agent in listed.agents if agent.name == changed.agent]
    return "\n".join([*now, *([] if changed.changed else [f"({changed.agent} {was_so})"])])


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
    Tool(
        "pause_agent",
        "Pause an agent: its running turn finishes, no other opens, its mail collects.",
        OneAgent,
        pause_agent,
        manager_only=True,
    ),
    Tool(
        "resume_agent",
        "End a pause: waiting mail opens a turn at once.",
        OneAgent,
        resume_agent,
        manager_only=True,
    ),
)
