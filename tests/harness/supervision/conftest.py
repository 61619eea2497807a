"""A house whose agents' programs are played by the test."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from harness.backends.protocol import Backend
from harness.backends.seat import Seat
from harness.freezing import Freezing
from harness.supervision import keeper as keeper_module
from harness.supervision.house import House
from harness.supervision.keeper import Keeper
from tests.fakes.post_office import Box, PostOffice
from tests.harness.conftest import INSTANCE
from tests.harness.fake_backend import FakeBackend, FakeProgram
from wire.home import Home
from wire.private_files import write_secret
from wire.settings import AgentSettings

TOKEN = "the-token-of-the-agent"


@dataclass
class Play:
    """A house and the programs in it, by agent."""

    office: PostOffice
    house: House
    backends: dict[str, FakeBackend] = field(default_factory=dict[str, FakeBackend])
    seats: dict[str, list[Seat]] = field(default_factory=dict[str, list[Seat]])
    """Every seat an agent was given; a new one for each start of its loop."""

    def add(self, name: str, *, token: bool = True, **settings: object) -> Box:
        """Register an agent that can be hosted."""
        if token:
            write_secret(self.house.home.agent_secret(name), TOKEN)
        given = {"backend": "command", "command": ["unused"], **settings}
        box = self.office.add(name, AgentSettings.model_validate(given))
        box.token = TOKEN
        return box

    async def program_of(self, name: str) -> FakeProgram:
        """Wait for an agent's next turn to start."""
        await self.office.until(lambda: name in self.backends)
        return await self.backends[name].next_program()

    def choose(self, seat: Seat) -> Backend | None:
        """See `House.choose`."""
        name = seat.workspace.agent
        self.seats.setdefault(name, []).append(seat)
        if seat.settings.backend == "none":
            return None
        if name not in self.backends:
            self.backends[name] = FakeBackend()
        self.office.change()
        return self.backends[name]

    @asynccontextmanager
    async def kept(self, name: str = "alice") -> AsyncGenerator[Keeper]:
        """Have an agent kept while the body runs; it is stopped behind it."""
        keeper = Keeper(name, self.house)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keeper.run)
            yield keeper
            keeper.stop()


@pytest.fixture
async def play(home: Home, office: PostOffice) -> AsyncGenerator[Play]:
    """A house without agents."""
    plays: list[Play] = []

    def choose(seat: Seat) -> Backend | None:
        return plays[0].choose(seat)

    house = House(home, office, INSTANCE, lambda: "http://127.0.0.1:1/mcp", Freezing(home.frozen), choose=choose)
    plays.append(Play(office, house))
    yield plays[0]
    for backend in plays[0].backends.values():
        backend.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once."""
    monkeypatch.setattr(keeper_module, "BUSY_RETRY_S", 0.001)
    monkeypatch.setattr(keeper_module, "REFUSED_RETRY_S", 0.001)
