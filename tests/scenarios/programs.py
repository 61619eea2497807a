"""A fleet of real programs in a home of its own: broker, harnesses, and the operator's end of the link."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import Any, Literal

import anyio
from anyio.abc import Process

from harness.supervision.reaper import reap
from tests.fakes.json_lines import lines_in
from wire.agents import AgentsAdd, AgentsAdded, AgentsList, AgentsListed, AgentSummary
from wire.client import BrokerClient, new_key
from wire.fleet import Account, FleetState, FleetStatus
from wire.home import Home
from wire.inbox import DeliveryStory, InboxExplain, InboxExplained, InboxList, InboxListed, InboxSend, InboxSent, Item
from wire.private_files import read_secret
from wire.settings import AgentSettings

MORTAL = Path(__file__).with_name("mortal_harness.py")


class Program:
    """A running program of ours."""

    def __init__(self, process: Process, said: Path) -> None:
        self.process = process
        self.said = said
        """What it wrote on stderr."""
        self.ready: dict[str, Any] | None = None

    async def becomes_ready(self) -> dict[str, Any] | None:
        """Wait for the ready line; None if it ended without one."""
        line = b""
        assert self.process.stdout is not None
        while not line.endswith(b"\n"):
            try:
                line += await self.process.stdout.receive()
            except anyio.EndOfStream:
                return None
        self.ready = json.loads(line)
        return self.ready

    async def ends(self) -> int:
        """Wait for its end."""
        return await self.process.wait()

    async def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Tell it to end, and wait."""
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


class Fleet:
    """The programs of one home."""

    def __init__(self, home: Home, stack: AsyncExitStack) -> None:
        self.home = home
        self._stack = stack
        self._scene = stack
        self._started = 0
        self.broker: Program
        self.operator: BrokerClient

    @asynccontextmanager
    async def scene(self) -> AsyncGenerator[None]:
        """What is started inside ends with it; only the broker lives on."""
        try:
            async with AsyncExitStack() as self._scene:
                yield
        finally:
            self.clear_up()

    def clear_up(self) -> None:
        """End the agents' programs whose harness was killed: nobody else would, when a test fails."""
        reap(self.home)

    async def start(self, *command: str, stack: AsyncExitStack | None = None) -> Program:
        """Start a program on this home; it is killed at the end of its scene."""
        self._started += 1
        said = self.home.root.parent / f"said-{self._started}"
        arguments = [sys.executable, *command, "--home", str(self.home.root)]
        with said.open("wb") as file:
            process = await anyio.open_process(arguments, stdin=None, stdout=PIPE, stderr=file)
        (stack or self._scene).push_async_callback(_end, process)
        return Program(process, said)

    async def start_broker(self) -> None:
        """Start the broker, again after it was killed."""
        self.broker = await self.start("-P", "-m", "broker", stack=self._stack)
        assert await self.broker.becomes_ready(), self.broker.said.read_text()

    async def start_harness(self, *arguments: str) -> Program:
        """Start a harness; see `arm` for what can become of it."""
        return await self.start("-P", str(MORTAL), str(self.armed), *arguments)

    @property
    def armed(self) -> Path:
        """Read by every harness at every step of its loop."""
        return self.home.root.parent / "armed"

    def arm(self, step: str, victim: Literal["harness", "program", "program if-any"]) -> None:
        """Kill -9 of the next harness that comes to this step, or of the program of its agent; see `MORTAL`."""
        (self.home.root.parent / "killed").unlink(missing_ok=True)
        draft = self.armed.with_suffix(".new")  # a harness may look at it in this moment
        draft.write_text(f"{step} {victim}")
        draft.replace(self.armed)

    async def killed(self) -> list[int]:
        """Wait until that has happened; gives the processes. None: no program ran at that step."""
        return json.loads((await self.file(self.home.root.parent / "killed")).read_text())

    async def add(self, name: str, **settings: object) -> None:
        """Register an agent."""
        made = AgentSettings.model_validate(settings)
        await self.operator.call(AgentsAdd(key=new_key(), agent=name, settings=made), AgentsAdded)

    async def send(self, to: str, body: str) -> str:
        """Send as the operator."""
        return (await self.operator.call(InboxSend(key=new_key(), to=to, body=body), InboxSent)).id

    async def delivery(self, message: str) -> DeliveryStory:
        """Where a message to one recipient stands."""
        story = await self.operator.call(InboxExplain(message=message), InboxExplained)
        return story.deliveries[0]

    async def handled(self, message: str) -> DeliveryStory:
        """Wait until a message is handled."""
        return await self.until(lambda: self.delivery(message), lambda story: story.state == "handled")

    async def agent(self, name: str) -> AgentSummary:
        """One agent as the operator sees it."""
        listed = await self.operator.call(AgentsList(), AgentsListed)
        return next(agent for agent in listed.agents if agent.name == name)

    async def mailbox(self) -> list[Item]:
        """The operator's mail, all of it."""
        found: list[Item] = []
        while True:
            after = found[-1].id if found else None
            page = await self.operator.call(InboxList(agent="operator", after=after, limit=1000), InboxListed)
            found += page.items
            if not page.more or not page.items:
                return found

    async def account(self) -> Account:
        """What became of everything."""
        return (await self.operator.call(FleetStatus(), FleetState)).account

    async def until(self, look: Callable[[], Coroutine[Any, Any, Any]], enough: Callable[[Any], object]) -> Any:
        """Look until it is enough; the test has a deadline."""
        while not enough(seen := await look()):  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)
        return seen

    async def file(self, path: Path) -> Path:
        """Wait for a file."""
        while not path.exists():  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)
        return path

    async def running(self, agent: str) -> dict[str, Any]:
        """Wait for the agent's program; gives its turn file."""
        path = self.home.agent_harness(agent) / "turn.json"
        while True:
            await self.file(path)
            with suppress(FileNotFoundError):  # that turn has just ended
                return json.loads(path.read_text())

    def logged(self, program: str, event: str) -> list[dict[str, Any]]:
        """What a program logged under the name of an event."""
        return [record for record in lines_in(self.home.logs / f"{program}.ndjson") if record["event"] == event]

    async def transcripts(self, agent: str) -> str:
        """All that the agent's programs wrote, turn by turn."""
        folder = self.home.agent_harness(agent) / "transcripts"
        files = sorted(folder.glob("*.log"), key=lambda path: int(path.stem[1:]))
        return "".join(path.read_text(errors="replace") for path in files)


def is_gone(pid: int) -> bool:
    """Whether nothing of a process group runs any more; that nobody reaped it is not its fault."""
    if not _has_members(pid):
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:  # its leader was reaped: in this moment perhaps, and then nobody is left
        return not _has_members(pid)
    return state == "Z"


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.aclose()


@asynccontextmanager
async def fleet_in(folder: Path) -> AsyncGenerator[Fleet]:
    """A home with a running broker, and the operator connected to it."""
    async with AsyncExitStack() as stack:
        fleet = Fleet(Home(folder / "home"), stack)
        stack.callback(fleet.clear_up)  # behind the harnesses
        await fleet.start_broker()
        token = fleet.home.operator_secret
        fleet.operator = await stack.enter_async_context(
            BrokerClient(fleet.home.socket, lambda: read_secret(token), "test")
        )
        yield fleet
