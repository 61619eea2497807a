"""A fleet whose agents are real Claude Codes, each with a model of its own: broker, harness, programs."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from tests.e2e.programs import Program, need
from tests.e2e.surroundings import surround
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Brain, Heard, Reply, Tool, ToolCall
from tests.scenarios import programs
from tests.scenarios.programs import Fleet, fleet_in
from wire.agents import AgentSummary
from wire.asks import Ask, AsksAnswer, AsksAnswered, AsksList, AsksListed
from wire.client import new_key
from wire.inbox import DeliveryStory

PATIENCE_S = 60


class Claudes:
    """The fleet, and what a test does with it."""

    def __init__(self, home: Path, fleet: Fleet, models: ModelServer, program: Program) -> None:
        self.fleet = fleet
        self._home = home
        self._models = models
        self._program = program
        self.harness: programs.Program

    async def remembers(self, name: str, words: str) -> None:
        """Wait until the program has these words on disk: it writes its history a moment behind what it says."""

        async def look() -> bool:
            files = self._home.rglob(f"**/{name}/**/projects/*/*.jsonl")
            return any(words in path.read_text(encoding="utf-8", errors="replace") for path in files)

        await self.fleet.until(look, bool)

    async def add(
        self, name: str, brain: Brain, *, env: dict[str, str] | None = None, **settings: object
    ) -> Conversation:
        """Register an agent with a model of its own."""
        talk = self._models.open(name, brain)
        around = {**surround("claude", self._home / name, talk), **(env or {})}
        await self.fleet.add(name, backend="claude", command=list(self._program.command), env=around, **settings)
        return talk

    async def host(self) -> None:
        """Start the harness, or start it again."""
        self.harness = await self.fleet.start_harness("--takeover")
        assert await self.harness.becomes_ready(), self.harness.said.read_text()

    async def handled(self, message: str) -> DeliveryStory:
        """Wait until a message is handled."""
        with anyio.fail_after(PATIENCE_S):
            return await self.fleet.handled(message)

    async def becomes(self, name: str, true: Callable[[AgentSummary], object]) -> AgentSummary:
        """Wait for an agent to be as it should."""
        with anyio.fail_after(PATIENCE_S):
            return await self.fleet.until(lambda: self.fleet.agent(name), true)

    async def asked(self, name: str) -> Ask:
        """Wait until an agent waits for a permission; gives the ask."""
        waiting = await self.becomes(name, lambda agent: agent.state == "waiting_permission")
        listed = await self.fleet.operator.call(AsksList(agent=name), AsksListed)
        (ask,) = listed.asks
        assert waiting.reason.startswith(f"{ask.id}: ")
        return ask

    async def answer(self, ask: Ask, words: str) -> None:
        """Decide."""
        await self.fleet.operator.call(AsksAnswer(key=new_key(), ask=ask.id, answer=words), AsksAnswered)

    async def operator_has(self, words: str) -> None:
        """Wait for mail to the operator."""
        with anyio.fail_after(PATIENCE_S):
            await self.fleet.until(self.fleet.mailbox, lambda items: any(item.body == words for item in items))

    async def pid(self, name: str) -> int:
        """Wait for an agent's program to be at work; gives its process."""
        with anyio.fail_after(PATIENCE_S):
            return (await self.fleet.running(name))["pid"]

    async def kill(self, name: str) -> int:
        """Kill -9 of the program that is at work, with its group."""
        pid = await self.pid(name)
        os.killpg(pid, signal.SIGKILL)
        return pid

    async def status(self) -> list[dict[str, Any]]:
        """What `queenpost status --json` says of the agents."""
        queenpost = str(Path(sys.executable).with_name("queenpost"))
        done = await anyio.run_process([queenpost, "status", "--home", str(self.fleet.home.root), "--json"])
        return json.loads(done.stdout)["agents"]

    def starts(self) -> int:
        """How many programs there were that could speak."""
        return len(self.fleet.logged("harness", "program_ready"))


@asynccontextmanager
async def claudes(home: Path) -> AsyncGenerator[Claudes]:
    """A broker and a model server; the harness is started by the test, behind its agents."""
    program = need("claude")
    async with ModelServer() as models, fleet_in(home) as fleet:
        yield Claudes(home, fleet, models, program)
        assert not [stray for stray in models.strays if not stray.startswith("HEAD ")]  # 2.1.197 looks who is there


async def gone(pid: int) -> None:
    """Wait until nothing of a process group runs any more."""
    with anyio.fail_after(PATIENCE_S):
        while not programs.is_gone(pid):  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)


def bash(command: str) -> Reply:
    """Run a command."""
    return Reply(calls=(ToolCall(Tool("Bash", None), {"command": command, "description": "as I was told"}),))


def once(reply: Reply, then: Brain) -> Brain:
    """Give one answer first, and leave the rest to another brain."""
    said: list[Heard] = []

    def brain(heard: Heard) -> Any:
        said.append(heard)
        return reply if len(said) == 1 else then(heard)

    return brain
