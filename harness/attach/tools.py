"""The agent's mail tools for the program at the terminal: its own identity, a bearer of their own, no turn."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio

from harness.backends.tasks import task_group
from harness.desk import HarnessDesk
from harness.post import Post
from mcp_tools.bearers import Bearers
from mcp_tools.http import PATH, build_app, serve
from wire.client import BrokerClient
from wire.home import Home
from wire.private_files import read_secret
from wire.settings import Role


@dataclass(frozen=True, slots=True)
class Tools:
    """Where they are, and what opens them."""

    url: str
    token: str


@asynccontextmanager
async def served(home: Home, agent: str, role: Role) -> AsyncGenerator[Tools]:
    """Serve the tools of one agent while the body runs; mail is only shown, since no turn could handle it."""
    token = partial(read_secret, home.agent_secret(agent))
    bearers, stop = Bearers(), anyio.Event()
    app = build_app(bearers)
    async with BrokerClient(home.socket, token, "attach") as client, task_group() as tasks:
        port: int = await tasks.start(serve, app, stop)
        yield Tools(f"http://{app.host}:{port}{PATH}", bearers.issue(HarnessDesk(Post(client, agent), role)))
        stop.set()
