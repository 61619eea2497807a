"""Ending a demo that costs: too many turns, too much money, or a fleet at rest that never reported."""

import anyio

from console.demo.cast import Bounds
from wire.agents import AgentSummary
from wire.client import BrokerClient
from wire.fleet import FleetState, FleetStatus

LOOK_EVERY_S = 0.25
AT_REST_LOOKS = 12
"""So often in a row nobody works before that counts: between two turns there is a moment."""

WALLS = frozenset({"auth", "credit", "bad_model", "missing_program", "mcp_missing", "rate_limited"})
"""Ends of a turn behind which nothing goes on by itself, or not for long."""


async def beyond(client: BrokerClient, bounds: Bounds) -> str:
    """Return once the demo has to end, with the reason."""
    at_rest = 0
    while True:
        fleet = await client.call(FleetStatus(), FleetState)
        if (words := exceeded(fleet, bounds)) is not None:
            return words
        busy = fleet.account.waiting or any(agent.state == "working" for agent in fleet.agents)
        at_rest = 0 if busy else at_rest + 1
        if at_rest >= AT_REST_LOOKS:
            return f"nobody works any more, and the manager has not reported{_reasons(fleet)}"
        if all(agent.state in ("parked", "failed", "idle") for agent in fleet.agents) and (why := _reasons(fleet)):
            return f"the agents cannot work{why}"
        await anyio.sleep(LOOK_EVERY_S)


def exceeded(fleet: FleetState, bounds: Bounds) -> str | None:
    """Say which bound was reached, if any."""
    turns = turns_of(fleet)
    if bounds.turns is not None and turns > bounds.turns:
        return f"it was stopped after {bounds.turns} turns"
    tokens, usd = spent(fleet)
    if bounds.usd is not None and (usd or 0) > bounds.usd:
        return f"it was stopped at ${usd:,.2f}, by the program's own figures"
    if bounds.tokens is not None and (tokens or 0) > bounds.tokens:
        return f"it was stopped at {tokens:,} tokens"
    return None


def turns_of(fleet: FleetState) -> int:
    """Count the turns of a fleet that is new: their ids are numbered."""
    return max((int(agent.last_turn.id[1:]) for agent in fleet.agents if agent.last_turn), default=0)


def spent(fleet: FleetState) -> tuple[int | None, float | None]:
    """Sum tokens and dollars of all agents; None where no program said."""
    tokens = [agent.tokens_today for agent in fleet.agents if agent.tokens_today is not None]
    usd = [agent.cost_usd_today for agent in fleet.agents if agent.cost_usd_today is not None]
    return (sum(tokens) if tokens else None, sum(usd) if usd else None)


def _reasons(fleet: FleetState) -> str:
    """Say what the agents that wait for something wait for, each reason once."""
    stuck = [agent for agent in fleet.agents if agent.state == "failed" or _is_walled(agent)]
    reasons = dict.fromkeys(agent.reason for agent in stuck if agent.reason)
    return f": {'; '.join(reasons)}" if reasons else ""


def _is_walled(agent: AgentSummary) -> bool:
    return agent.state == "parked" and agent.last_turn is not None and agent.last_turn.outcome in WALLS
