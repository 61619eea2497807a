"""The names of agents and jobs, for a shell that completes a word: asked of the broker, if it answers at once."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from wire.model import Request, Result

ANSWER_S = 0.3
"""How long a shell waits for names; without them by then, it offers none."""
TASK_CHARACTERS = 40
R = TypeVar("R", bound="Result")


def agent_names(named_home: Path | None) -> list[str]:
    """Ask the broker for the names of its agents; none where it does not answer at once. Says nothing else."""
    from wire.agents import AgentsList, AgentsListed

    listed = _asked(named_home, AgentsList(), AgentsListed)
    return [agent.name for agent in listed.agents] if listed else []


def job_ids(named_home: Path | None) -> list[tuple[str, str]]:
    """The same for the newest jobs, each with the beginning of its task."""
    from wire.jobs import JobsList, JobsListed

    listed = _asked(named_home, JobsList(all=True), JobsListed)
    return [(job.id, " ".join(job.prompt.split())[:TASK_CHARACTERS]) for job in listed.jobs] if listed else []


def _asked(named_home: Path | None, request: "Request", result: type[R]) -> R | None:
    import anyio

    from wire.client import BrokerClient
    from wire.home import find_home
    from wire.private_files import read_secret

    async def ask() -> R | None:
        home = find_home(str(named_home) if named_home else None, os.environ, Path.cwd())
        with anyio.move_on_after(ANSWER_S):
            async with BrokerClient(
                home.socket, lambda: read_secret(home.operator_secret), "completion", reconnect=False
            ) as client:
                return await client.call(request, result)
        return None

    try:
        return anyio.run(ask)
    except Exception:  # noqa: BLE001  # a shell that completes shows whatever is said in the middle of a line
        return None
