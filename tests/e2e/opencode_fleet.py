"""A fleet whose agents are real opencodes, each with a model of its own: broker, harness, programs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.claude_fleet import Claudes
from tests.e2e.programs import Program, need
from tests.e2e.surroundings import surround
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Brain
from tests.scenarios.programs import Fleet, fleet_in


class Opencodes(Claudes):
    """The same with opencode."""

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
        around = {**surround("opencode", self._around / name, talk), **(env or {})}
        await self.fleet.add(name, backend="opencode", command=list(self.program.command), env=around, **settings)
        return talk


@asynccontextmanager
async def opencodes(home: Path) -> AsyncGenerator[Opencodes]:
    """A broker and a model server; the harness is started by the test, behind its agents."""
    program = need("opencode")
    async with ModelServer() as models, fleet_in(home) as fleet:
        yield Opencodes(home, fleet, models, program)
        assert not models.strays
