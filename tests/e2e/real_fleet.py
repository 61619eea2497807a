"""A fleet whose agents are real programs of one kind, each with a model of its own: broker, harness, programs."""

import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio

from tests.e2e.kinds import Kind
from tests.e2e.programs import Program, need
from tests.e2e.surroundings import surround
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Brain, Heard, Reply
from tests.scenarios import programs
from tests.scenarios.programs import Fleet, fleet_in
from tests.scenarios.truth import Store
from wire.agents import AgentSummary
from wire.asks import Ask, AsksAnswer, AsksAnswered, AsksList, AsksListed
from wire.client import new_key
from wire.inbox import DeliveryStory

PATIENCE_S = 60


class RealFleet:
    """The fleet, and what a test does with it."""

    def __init__(self, home: Path, fleet: Fleet, models: ModelServer, kind: Kind, program: Program) -> None:
        self.fleet = fleet
        self.home = home
        self.models = models
        self.kind = kind
        self.program = program
        self.harness: programs.Program

    async def add(
        self, name: str, brain: Brain, *, env: dict[str, str] | None = None, **settings: object
    ) -> Conversation:
        """Register an agent with a model of its own."""
        talk = self.models.open(name, brain)
        around = {**surround(self.kind.name, self.home / name, talk), **(env or {})}
        given = {"backend": self.kind.name, "command": list(self.program.command), **self.kind.settings, **settings}
        await self.fleet.add(name, env=around, **given)
        return talk

    async def remembers(self, name: str) -> None:
        """Wait until the program has the result of a tool on disk: it writes its history a moment behind what it says.

        Killed before, it has no session to go on with, and the mail comes once more, uncounted.
        """
        folders = (self.home / name, self.fleet.home.agent_harness(name))

        async def look() -> bool:
            files = [path for folder in folders for path in files_below(folder, self.kind.history)]
            with suppress(FileNotFoundError):  # it was taken away just now
                return any(self.kind.result in path.read_bytes() for path in files)
            return False

        with anyio.fail_after(PATIENCE_S):
            await self.fleet.until(look, bool)
            await self.fleet.until(Store(self.fleet.home.database).has_begun, bool)  # some say it late

    def let_a_minute_pass(self, name: str) -> None:
        """Let the sessions of an agent be from another minute, where the program names them so."""
        if self.kind.by_the_minute:
            folder = self.fleet.home.agent_harness(name)
            for number, path in enumerate(sorted(files_below(folder, "chats/session-*.jsonl"))):
                path.rename(path.with_name(re.sub(r"session-\d{4}", f"session-{1000 + number}", path.name)))

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
async def real_fleet(home: Path, kind: Kind) -> AsyncGenerator[RealFleet]:
    """A broker and a model server; the harness is started by the test, behind its agents."""
    program = need(kind.name)
    async with ModelServer() as models, fleet_in(home) as fleet:
        yield RealFleet(home, fleet, models, kind, program)
        assert not models.strays


def files_below(folder: Path, pattern: str) -> list[Path]:
    """Find files in a folder in which a program is at work: what it takes away meanwhile is passed over."""
    found = (Path(here, name) for here, _, names in os.walk(folder) for name in names)
    return [path for path in found if path.match(pattern) and path.is_file()]


async def gone(pid: int) -> None:
    """Wait until nothing of a process group runs any more."""
    with anyio.fail_after(PATIENCE_S):
        while not programs.is_gone(pid):  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)


def once(reply: Reply, then: Brain) -> Brain:
    """Give one answer first, and leave the rest to another brain."""
    said: list[Heard] = []

    def brain(heard: Heard) -> Any:
        said.append(heard)
        return reply if len(said) == 1 else then(heard)

    return brain


def stuck(heard: Heard) -> Reply:
    """Never answer."""
    return Reply("I am about to").once(anyio.Event())


def results(heard: Heard) -> str:
    """Give what the tools gave."""
    return " ".join(result.text for result in heard.results)


def children_of(pid: int) -> list[int]:
    """Give the processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
