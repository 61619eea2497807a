"""Whose mail a session gets: the agent that was named, or a free one of the program's own names. One session each."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from console.supervisor.lock import Held, hold
from wire.agents import AgentsAdd, AgentsAdded, AgentsShow, AgentsShown, AgentSummary
from wire.client import BrokerClient, new_key
from wire.errors import Conflict, QueenpostError, Unknown
from wire.home import Home

GIVEN_UP_AFTER = 100
"""Names that are tried."""


@contextmanager
def alone(home: Home, agent: str) -> Generator[None]:
    """Keep every other session away from the agent while the body runs.

    Raises:
        Conflict: one has it. Invalid: no agent can have that name.
    """
    home.agent_secret(agent)  # refuses what would lead out of the folder
    try:
        with hold(_lock(home, agent)):
            yield
    except Held as held:
        raise _taken(agent, f"the session of process {held.pid}") from None


async def take(client: BrokerClient, agent: str) -> None:
    """Make sure that the agent is there and nobody works for it; one that is missing is made.

    Raises:
        Conflict: it is hosted by the harness, or another session has it. Invalid: it cannot have that name.
    """
    found = await look(client, agent)
    if found is None:
        await client.call(AgentsAdd(agent=agent, key=new_key()), AgentsAdded)
    elif (why := _why_not(found)) is not None:
        raise _taken(agent, why)


async def free_name(client: BrokerClient, home: Home, program: str, until: ExitStack) -> str:
    """Give the first of `claude-1`, `claude-2`… that nobody works for; it may have mail of an earlier session.

    It is `alone` from then on, until the stack is left: sessions that are opened at the same time get other names.

    Raises:
        Conflict: none of them is free.
    """
    for number in range(1, GIVEN_UP_AFTER + 1):
        name = f"{program}-{number}"
        found = await look(client, name)
        if found is None or _why_not(found) is None:
            with suppress(Conflict):
                until.enter_context(alone(home, name))
                return name
    raise Conflict(f"none of {program}-1 to {program}-{GIVEN_UP_AFTER} is free; choose a name with --name")


async def look(client: BrokerClient, agent: str) -> AgentSummary | None:
    """Give what the broker knows of an agent; None where there is none."""
    try:
        return (await client.call(AgentsShow(agent=agent), AgentsShown)).agent
    except Unknown:
        return None


def _taken(agent: str, by: str) -> QueenpostError:
    """Say who has an agent, and what to do."""
    return Conflict(f"{agent} is taken by {by}; choose another name with --name")


def _why_not(agent: AgentSummary) -> str | None:
    """Say who works for an agent; None where a session may."""
    if agent.backend != "none":
        return f"the harness, with backend {agent.backend}"
    return "another session, which takes its mail" if agent.attached else None


def _lock(home: Home, agent: str) -> Path:
    return home.run / f"open-{agent}.lock"
