"""What an agent sees: a send through the MCP tools, over stdio, with the client of the SDK."""

import sys

from mcp import Client, StdioServerParameters

from benchmarks.fleet import BODY
from benchmarks.loads import durations
from wire.home import Home


async def tool_sends(home: Home, agent: str, recipient: str, count: int) -> list[float]:
    """Give how long each durable send takes, in seconds, from the call of the tool to its result."""
    server = StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "mcp_tools", "--agent", agent, "--home", str(home.root)]
    )
    async with Client(server) as client:

        async def send() -> None:
            result = await client.call_tool("send", {"to": recipient, "body": BODY})
            assert not result.is_error, result

        await durations(send, 5)  # the first ones find nothing warm
        return await durations(send, count)
