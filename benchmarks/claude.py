"""Claude Code with a scripted model on loopback: warm and driven over its stdin, and as an agent of a fleet."""

import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from time import perf_counter

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.e2e.programs import Program
from tests.fakes.models.talk import Heard, Reply

LINE_BYTES = 16 * 1024 * 1024
FLAGS = (
    *("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
    *("--replay-user-messages", "--strict-mcp-config", "--permission-mode", "default"),
)
"""Those with which the product starts it, without our tools."""


class Instants:
    """A model that says the same few words at once, and remembers when it was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._news = anyio.Event()

    def __call__(self, heard: Heard) -> Reply:
        """See `tests.fakes.models.talk.Brain`."""
        self.asked.append(perf_counter())
        self._news.set()
        self._news = anyio.Event()
        return Reply("Read.")

    async def count(self, wanted: int) -> None:
        """Wait until it was asked so many times."""
        while len(self.asked) < wanted:
            await self._news.wait()


class Direct:
    """The program without Queenpost: one line in, its lines out until the turn's result."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin
        self._stdout = BufferedByteReceiveStream(process.stdout)

    async def turn(self, words: str) -> float:
        """Run one turn; gives how long it took, in seconds."""
        started = perf_counter()
        line = {"type": "user", "message": {"role": "user", "content": words}, "parent_tool_use_id": None}
        await self._stdin.send(json.dumps(line).encode() + b"\n")
        while True:
            said = json.loads(await self._stdout.receive_until(b"\n", LINE_BYTES))
            if said.get("type") == "result":
                assert not said["is_error"], said
                return perf_counter() - started


@asynccontextmanager
async def direct(program: Program, environment: Mapping[str, str], folder: Path) -> AsyncGenerator[Direct]:
    """Run it while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    process = await anyio.open_process(
        [*program.command, *FLAGS], env=environment, cwd=folder, stderr=DEVNULL, start_new_session=True
    )
    try:
        yield Direct(process)
    finally:
        with anyio.CancelScope(shield=True):
            os.killpg(process.pid, 9)
            await process.aclose()
