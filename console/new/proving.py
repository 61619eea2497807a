"""Showing that a new fleet works before it is given its goal: each agent wakes for mail, and one handles a message."""

from collections.abc import Callable

import anyio

from console.cli.loops import WORDS
from wire.agents import AgentSummary, AgentsWakeTest, AgentsWoken
from wire.client import BrokerClient, new_key
from wire.errors import Unavailable
from wire.fleet import FleetState, FleetStatus
from wire.inbox import InboxExplain, InboxExplained, InboxSend, InboxSent
from wire.letters import InboxRecall, InboxRecalled

LOOK_EVERY_S = 0.2
ATTACHED_WITHIN_S = 30.0
HOPELESS = frozenset({"auth", "credit", "bad_model", "missing_program", "mcp_missing"})
"""Ends of a turn that do not mend themselves."""

Say = Callable[[str], None]


class NotProvenError(Exception):
    """The fleet does not work; the message says what was seen."""


async def wake(client: BrokerClient, agents: list[str]) -> float:
    """Wake each agent without mail and without a model call; gives the milliseconds of the slowest.

    Raises:
        NotProvenError: one cannot be woken.
    """
    slowest = 0.0
    for agent in agents:
        woken = await _woken(client, agent)
        if not woken.woken:
            state, why = woken.state.replace("_", " "), woken.reason or "it does not say why"
            raise NotProvenError(f"{agent} was not woken, it is {state}: {why}")
        slowest = max(slowest, woken.wake_ms or 0.0)
    return slowest


async def _woken(client: BrokerClient, agent: str) -> AgentsWoken:
    """Wake one; an agent that is only just coming gets a moment."""
    until_s = anyio.current_time() + ATTACHED_WITHIN_S
    while True:
        woken = await client.call(AgentsWakeTest(agent=agent), AgentsWoken)
        if woken.woken or woken.state == "failed" or anyio.current_time() > until_s:
            return woken
        await anyio.sleep(LOOK_EVERY_S)


async def turn(client: BrokerClient, agent: str, within_s: float, doing: Say) -> float:
    """Have an agent handle a message; gives the seconds. `doing` hears what it does meanwhile.

    Raises:
        NotProvenError: it did not, in the words of its program. The message is taken back.
    """
    began_s = anyio.current_time()
    sent = await client.call(InboxSend(to=agent, body=WORDS, key=new_key()), InboxSent)
    while True:
        story = await client.call(InboxExplain(message=sent.id), InboxExplained)
        if story.deliveries[0].state == "handled":
            return anyio.current_time() - began_s
        seen = await _summary(client, agent)
        doing(seen.reason or seen.state)
        if (trouble := _trouble(seen)) or anyio.current_time() - began_s > within_s:
            await client.call(InboxRecall(message=sent.id, key=new_key()), InboxRecalled)
            raise NotProvenError(trouble or f"{agent} has not handled a message within {within_s:.0f} s: {seen.reason}")
        await anyio.sleep(LOOK_EVERY_S)


def _trouble(agent: AgentSummary) -> str | None:
    ended = agent.last_turn.outcome if agent.last_turn else None
    if agent.state == "failed" or (ended in HOPELESS and agent.state != "working"):
        return f"{agent.name} could not handle a message: {agent.reason or (ended or 'failed').replace('_', ' ')}"
    return None


async def _summary(client: BrokerClient, name: str) -> AgentSummary:
    fleet = await client.call(FleetStatus(), FleetState)
    for agent in fleet.agents:
        if agent.name == name:
            return agent
    raise Unavailable(f"{name} is not in the fleet any more; `queenpost agent list` shows who is")
