"""A real broker and real `mcp_tools` processes for tests of the stdio transport."""

import itertools
import json
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
from anyio.abc import Process
from anyio.lowlevel import checkpoint
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import StdioServerParameters

from tests.mcp_tools.conftest import Era
from wire.agents import AgentsAdd, AgentsAdded
from wire.client import BrokerClient, new_key
from wire.home import Home
from wire.inbox import InboxExplain, InboxExplained, InboxSend, InboxSent
from wire.private_files import read_secret

MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "0"},
}


@dataclass
class Fleet:
    """A running broker with its operator."""

    home: Home
    broker: Process
    operator: BrokerClient
    _added: int = 0

    def command(self, agent: str) -> list[str]:
        """Give the command line of an agent's MCP server."""
        return [sys.executable, "-P", "-m", "mcp_tools", "--agent", agent, "--home", str(self.home.root)]

    def parameters(self, agent: str) -> StdioServerParameters:
        """Give what stands in the configuration of an MCP client."""
        queenpost = Path(sys.executable).with_name("queenpost")
        arguments = ["mcp", "--agent", agent, "--home", str(self.home.root)]
        return StdioServerParameters(command=str(queenpost), args=arguments)

    async def add(self, name: str) -> str:
        """Register an agent that nobody else uses; gives its name."""
        self._added += 1
        agent = f"{name}-{self._added}"
        await self.operator.call(AgentsAdd(key=new_key(), agent=agent), AgentsAdded)
        return agent

    async def send(self, to: str, body: str) -> str:
        """Send as the operator; gives the id."""
        return (await self.operator.call(InboxSend(key=new_key(), to=to, body=body), InboxSent)).id

    async def story(self, message: str) -> InboxExplained:
        """Explain a message."""
        return await self.operator.call(InboxExplain(message=message), InboxExplained)

    async def state(self, message: str) -> str:
        """Give the state of a message's one delivery."""
        (delivery,) = (await self.story(message)).deliveries
        return delivery.state

    async def reaches(self, message: str, state: str) -> None:
        """Wait until a message is in a state; the caller has a deadline."""
        while await self.state(message) != state:
            await checkpoint()


@asynccontextmanager
async def running_broker(home: Home) -> AsyncGenerator[Process]:
    """Run a broker until the block is left."""
    command = [sys.executable, "-P", "-m", "broker", "--home", str(home.root)]
    async with await anyio.open_process(command, stdin=None, stderr=None) as process:
        assert process.stdout is not None
        ready = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 65_536)
        assert json.loads(ready)["event"] == "ready"
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()


@asynccontextmanager
async def running_fleet(folder: Path) -> AsyncGenerator[Fleet]:
    """Run a broker with an operator and without agents."""
    home = Home(folder / "h")
    async with running_broker(home) as process:
        token = partial(read_secret, home.operator_secret)
        async with BrokerClient(home.socket, token, "test") as operator:
            yield Fleet(home, process, operator)


@dataclass
class RawClient:
    """An MCP client that a test can be rude with: it writes lines and reads lines."""

    process: Process
    era: Era
    _lines: BufferedByteReceiveStream
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def write(self, message: dict[str, Any]) -> None:
        """Write one line."""
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps(message).encode() + b"\n")

    async def read(self) -> dict[str, Any]:
        """Read one line."""
        return json.loads(await self._lines.receive_until(b"\n", 1024 * 1024))

    async def ask(self, method: str, params: dict[str, Any]) -> int:
        """Send a request; gives its id."""
        number = next(self._ids)
        meta = {"_meta": MODERN} if self.era == "auto" else {}
        await self.write({"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, **meta}})
        return number

    async def start(self, tool: str, **arguments: Any) -> int:
        """Call a tool without waiting for its answer; gives the id."""
        return await self.ask("tools/call", {"name": tool, "arguments": arguments})

    async def answer(self, number: int) -> str:
        """Read on until the answer of a call, and give its text."""
        while (message := await self.read()).get("id") != number:
            pass
        assert "result" in message, message
        return message["result"]["content"][0]["text"]

    async def call(self, tool: str, **arguments: Any) -> str:
        """Call a tool and give its text."""
        return await self.answer(await self.start(tool, **arguments))

    async def cancel(self, number: int) -> None:
        """Withdraw a call."""
        params = {"requestId": number}
        await self.write({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})

    async def settled(self) -> None:
        """Wait until the server has read everything that was written to it."""
        await self.answer_of_list(await self.ask("tools/list", {}))

    async def answer_of_list(self, number: int) -> None:
        """Read on until the answer of a listing."""
        while (await self.read()).get("id") != number:
            pass

    async def hang_up(self) -> None:
        """Close the input of the server."""
        assert self.process.stdin is not None
        await self.process.stdin.aclose()

    async def shake_hands(self) -> None:
        """Do the handshake of an era that has one."""
        if self.era == "auto":
            return
        client = {"name": "t", "version": "0"}
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        await self.ask("initialize", hello)
        await self.read()
        await self.write({"jsonrpc": "2.0", "method": "notifications/initialized"})


@asynccontextmanager
async def raw_client(fleet: Fleet, agent: str, era: Era = "auto") -> AsyncGenerator[RawClient]:
    """Run an agent's MCP server and speak to it; killed on leaving, if it is still there."""
    async with await anyio.open_process(fleet.command(agent), stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        client = RawClient(process, era, BufferedByteReceiveStream(process.stdout))
        await client.shake_hands()
        try:
            yield client
        finally:
            if process.returncode is None:
                process.kill()
