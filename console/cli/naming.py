"""The names of agents, for a shell that completes a word: asked of the broker, if it answers at once."""

import os
from pathlib import Path

ANSWER_S = 0.3
"""How long a shell waits for names; without them by then, it offers none."""


def agent_names(named_home: Path | None) -> list[str]:
    """Ask the broker for the names of its agents; none where it does not answer at once. Says nothing else."""
    import anyio

    from wire.agents import AgentsList, AgentsListed
    from wire.client import BrokerClient
    from wire.home import find_home
    from wire.private_files import read_secret

    async def ask() -> list[str]:
        home = find_home(str(named_home) if named_home else None, os.environ, Path.cwd())
        with anyio.move_on_after(ANSWER_S):
            async with BrokerClient(
                home.socket, lambda: read_secret(home.operator_secret), "completion", reconnect=False
            ) as client:
                return [agent.name for agent in (await client.call(AgentsList(), AgentsListed)).agents]
        return []

    try:
        return anyio.run(ask)
    except Exception:  # noqa: BLE001  # a shell that completes shows whatever is said in the middle of a line
        return []
