"""A program that serves the mail tools over HTTP for two agents whose desks are fakes, until its stdin ends.

It prints one line: its port and a token for each of them. All that stands before the desks is the product's.
"""

import json
import sys

import anyio
import anyio.to_thread

from mcp_tools import http
from mcp_tools.bearers import Bearers
from tests.fakes.desk import FakeDesk


async def main() -> None:
    """Serve."""
    bearers, stop = Bearers(), anyio.Event()
    tokens = [bearers.issue(FakeDesk(agent)) for agent in ("alice", "bob")]
    async with anyio.create_task_group() as group:
        port: int = await group.start(http.serve, http.build_app(bearers), stop)
        sys.stdout.write(json.dumps({"port": port, "tokens": tokens}) + "\n")
        sys.stdout.flush()
        await anyio.to_thread.run_sync(sys.stdin.read)
        stop.set()


if __name__ == "__main__":
    anyio.run(main)
