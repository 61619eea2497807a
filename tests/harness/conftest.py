"""A post office, an agent in it, and its loop over a backend that a test plays."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from harness.accounts import Account
from harness.desk import HarnessDesk
from harness.freezing import Freezing
from harness.post import Post
from harness.reporting import Reporter
from harness.turn_loop import Hosted, TurnLoop
from harness.workspace import Workspace
from tests.fakes.post_office import Box, PostOffice
from tests.harness.fake_backend import FakeBackend
from wire.agents import AgentsAttach, AgentsAttached
from wire.clock import FakeClock
from wire.home import Home
from wire.settings import AgentSettings

INSTANCE = "the-instance-of-the-test"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with its folders."""
    made = Home(tmp_path / "home")
    made.create()
    return made


@pytest.fixture
def office() -> Generator[PostOffice]:
    """A post office without agents."""
    made = PostOffice()
    yield made
    made.close()


@dataclass
class Stage:
    """One agent's loop and all around it."""

    office: PostOffice
    box: Box
    backend: FakeBackend
    hosted: Hosted
    loop: TurnLoop
    sleeps: list[float] = field(default_factory=list[float])
    """How long it rested, each time."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run the loop beside the test, which ends it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.loop.run)
            yield
            self.loop.leave()
            tasks.cancel_scope.cancel()

    async def handled(self, *ids: str) -> None:
        """Wait until mail is handled."""
        await self.office.until(lambda: set(ids) <= set(self.box.handled))


MakeStage = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def stage_for(home: Home, office: PostOffice) -> AsyncGenerator[MakeStage]:
    """Set a stage with the given settings."""
    backends: list[FakeBackend] = []

    async def make(*, resident: bool = False, **settings: object) -> Stage:
        backend = FakeBackend(resident=resident)
        backends.append(backend)
        return await set_stage(home, office, backend, settings)

    yield make
    for backend in backends:
        backend.close()


@pytest.fixture
async def stage(stage_for: MakeStage) -> Stage:
    """The agent alice with ordinary settings."""
    return await stage_for()


async def set_stage(home: Home, office: PostOffice, backend: FakeBackend, fields: dict[str, object]) -> Stage:
    """Attach alice and make her loop."""
    settings = AgentSettings.model_validate({"backend": "command", "command": ["unused"], **fields})
    box = office.add("alice", settings)
    attach = AgentsAttach(agent="alice", instance=INSTANCE)
    attached = await office.call(attach, AgentsAttached)
    post = Post(office, "alice")
    workspace = Workspace(home, "alice")
    workspace.make()
    sleeps: list[float] = []

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        office.change()
        await anyio.lowlevel.checkpoint()

    desk = HarnessDesk(post, attached.role)
    freezing = Freezing(home.frozen)
    clock = FakeClock()

    async def pause(event: anyio.Event, seconds: float) -> None:
        sleeps.append(seconds)
        clock.advance(int(seconds * 1000) + 1)
        office.change()
        await anyio.lowlevel.checkpoint()

    account = Account("of alice", clock, pause=pause)
    hosted = Hosted(post, backend, desk, Reporter(post), workspace, settings, clock, freezing, account, sleep=sleep)
    return Stage(office, box, backend, hosted, TurnLoop(hosted), sleeps)
