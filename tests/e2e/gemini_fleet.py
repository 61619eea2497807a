"""A fleet whose agents are real Gemini CLIs, each with a model of its own: broker, harness, programs."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.claude_fleet import Claudes
from tests.e2e.programs import Program, need
from tests.e2e.surroundings import surround
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Brain, Reply
from tests.scenarios.programs import Fleet, fleet_in

MODEL = "gemini-2.5-pro"
"""Unless it is named, the program asks a small model first which one to take."""


class Geminis(Claudes):
    """The same with Gemini CLI."""

    def __init__(self, home: Path, fleet: Fleet, models: ModelServer, program: Program) -> None:
        super().__init__(home, fleet, models, program)
        self._around = home
        self._served = models
        self.program = program

    async def add(
        self, name: str, brain: Brain, *, env: dict[str, str] | None = None, **settings: object
    ) -> Conversation:
        """Register an agent with a model of its own."""
        talk = self._served.open(name, brain)
        around = {**surround("gemini", self._around / name, talk), **(env or {})}
        chosen = {"model": MODEL, **settings}
        await self.fleet.add(name, backend="gemini", command=list(self.program.command), env=around, **chosen)
        return talk

    def age_sessions(self, name: str) -> int:
        """Let the sessions of an agent be from another minute; gives how many there are.

        The program names a file by the minute and begins it anew where it resumes in that minute: see docs/backends.md.
        """
        folder = self.fleet.home.agent_harness(name) / "programs/gemini/.gemini/tmp"
        found = sorted(folder.glob("*/chats/session-*.jsonl"))
        for number, path in enumerate(found):
            path.rename(path.with_name(re.sub(r"session-\d{4}", f"session-{1000 + number}", path.name)))
        return len(found)


@asynccontextmanager
async def geminis(home: Path) -> AsyncGenerator[Geminis]:
    """A broker and a model server; the harness is started by the test, behind its agents."""
    program = need("gemini")
    async with ModelServer() as models, fleet_in(home) as fleet:
        yield Geminis(home, fleet, models, program)
        assert not models.strays


def shell(command: str) -> Reply:
    """Run a command."""
    return Reply.calling("run_shell_command", server=None, command=command)
