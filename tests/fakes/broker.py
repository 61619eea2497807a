"""The real broker for tests: as a program that can be killed, or inside of the test with its parts in reach.

Nothing is faked but where it runs. Neither leaves a process or a home behind.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess
from types import TracebackType
from typing import Any, Self, cast
from unittest import mock

import anyio
from anyio.abc import ByteStream, Process, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from broker import app
from broker.edge import server as edge
from broker.edge.connection import Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.edge.server import Server
from broker.timekeeper import Timekeeper
from tests.scenarios.fleet import RawLine, Worker, send
from wire import agents, fleet, inbox
from wire.client import BrokerClient, new_instance, new_key
from wire.clock import Clock
from wire.home import Home
from wire.link import Link
from wire.private_files import read_secret
from wire.settings import AgentSettings

START_S = 60.0
"""How long a start or an end may take; far more than it does, for machines with other work."""

SHOWN_AT_FAILURE = 8000
"""Characters of what a broker program said last."""


class Brisk(random.Random):
    """Dice for a client that connects again at once, without spinning while nobody listens."""

    def uniform(self, a: float, b: float) -> float:
        return min(b, 0.02)


@contextmanager
def short_home() -> Generator[Home]:
    """Give a home that does not exist yet, in a folder whose path leaves room for a socket; all goes at the end."""
    folder = Path(tempfile.mkdtemp(prefix="qp-"))
    try:
        yield Home(folder / "home")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class HarnessLink:
    """What a harness does when its link is made again: attach every worker before anything else is sent."""

    fleet: "Fleet"
    workers: dict[str, Worker] = field(default_factory=dict[str, Worker])

    async def on_link(self, link: Link | None) -> None:
        """See `wire.client.OnLink`."""
        if link is None:
            return
        for worker in self.workers.values():
            request = self.fleet.attach_request(worker.name, worker.instance, takeover=worker.takes_over)
            worker.attached = await link.call(request, agents.AgentsAttached)
            worker.takes_over = False


class Fleet:
    """A home with a broker on it, and clients that are closed with it. An async context manager."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._open = AsyncExitStack()
        self._operator: BrokerClient | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the clients, end the broker hard or softly, whatever is quicker; show what it said if a test failed."""
        try:
            await self._open.aclose()
        finally:
            await self.end()
            if error is not None and self.errors.exists():
                sys.stderr.write(self.errors.read_text(encoding="utf-8")[-SHOWN_AT_FAILURE:])

    @property
    def errors(self) -> Path:
        """Where a broker program writes its standard error, over all starts."""
        return self.home.root.with_name("stderr")

    async def start(self) -> None:
        """Run the broker until it listens."""
        raise AssertionError("a fleet is run by its subclass")

    async def end(self) -> None:
        """End the broker; harmless when it has ended."""
        raise AssertionError("a fleet is run by its subclass")

    # --- clients ------------------------------------------------------------------------------------

    def token(self, secret: Path) -> str:
        """Read a token as it is now."""
        return read_secret(secret).strip()

    def client(self, secret: Path, *, link: HarnessLink | None = None, reconnect: bool = True) -> BrokerClient:
        """Make a client that is not entered yet."""
        return BrokerClient(
            self.home.socket,
            lambda: self.token(secret),
            "test",
            on_link=link.on_link if link else None,
            reconnect=reconnect,
            rng=Brisk(),
        )

    async def entered(self, client: BrokerClient) -> BrokerClient:
        """Enter a client and leave it with the fleet."""
        return await self._open.enter_async_context(client)

    async def operator(self) -> BrokerClient:
        """Give the one operator's client."""
        if self._operator is None:
            self._operator = await self.entered(self.client(self.home.operator_secret))
        return self._operator

    async def add(self, *names: str, **settings: Any) -> None:
        """Register agents, all with the same settings."""
        operator = await self.operator()
        for name in names:
            request = agents.AgentsAdd(key=new_key(), agent=name, settings=AgentSettings(**settings))
            await operator.call(request, agents.AgentsAdded)

    def attach_request(self, name: str, instance: str, *, takeover: bool = False) -> agents.AgentsAttach:
        """Make the request by which a harness proves an agent."""
        token = self.token(self.home.agent_secret(name))
        return agents.AgentsAttach(agent=name, instance=instance, agent_token=token, takeover=takeover)

    async def harness(self, *names: str, takeover: bool = False, reconnect: bool = True) -> list[Worker]:
        """Attach agents on one new harness connection that finds its way back by itself."""
        link = HarnessLink(self)
        client = await self.entered(self.client(self.home.harness_secret, link=link, reconnect=reconnect))
        for name in names:
            instance = new_instance()
            request = self.attach_request(name, instance, takeover=takeover)
            attached = await client.call(request, agents.AgentsAttached)
            link.workers[name] = Worker(client, name, instance, attached, as_=name)
        return list(link.workers.values())

    async def worker(self, name: str, *, takeover: bool = False, reconnect: bool = True) -> Worker:
        """Attach one agent on a harness connection of its own."""
        (worker,) = await self.harness(name, takeover=takeover, reconnect=reconnect)
        return worker

    async def session(self, name: str, *, reconnect: bool = False) -> Worker:
        """Attach an attended session by the agent's own token."""
        client = await self.entered(self.client(self.home.agent_secret(name), reconnect=reconnect))
        instance = new_instance()
        request = agents.AgentsAttach(agent=name, instance=instance)
        return Worker(client, name, instance, await client.call(request, agents.AgentsAttached))

    async def raw(self, secret: Path | None = None) -> "RawLine":
        """Connect without a client in between; with a secret, the hello is said and answered."""
        raw = self.kept(await anyio.connect_unix(self.home.socket))
        if secret is not None:
            answer = await raw.hello(self.token(secret))
            assert "principal" in answer, answer
        return raw

    def kept(self, stream: ByteStream) -> "RawLine":
        """Make a line of a connection and leave it with the fleet."""
        raw = RawLine(stream)
        self._open.push_async_callback(raw.aclose)
        return raw

    async def send(self, to: str, body: str = "hello", *, key: str | None = None) -> inbox.InboxSent:
        """Send as the operator."""
        return await send(await self.operator(), to, body, key=key)

    # --- looking ------------------------------------------------------------------------------------

    async def status(self) -> fleet.FleetState:
        """Ask for the state of the fleet."""
        return await (await self.operator()).call(fleet.FleetStatus(), fleet.FleetState)

    async def explain(self, message: str) -> inbox.InboxExplained:
        """Ask for the story of a message, as the operator."""
        request = inbox.InboxExplain(message=message)
        return await (await self.operator()).call(request, inbox.InboxExplained)

    async def state_of(self, message: str, recipient: str | None = None) -> str:
        """Give where one copy of a message stands, as its sender is told."""
        story = await self.explain(message)
        (state,) = [d.state for d in story.deliveries if recipient in (None, d.recipient)]
        return state

    async def agent(self, name: str) -> agents.AgentSummary:
        """Give one agent as the status shows it."""
        (summary,) = [agent for agent in (await self.status()).agents if agent.name == name]
        return summary


class LocalBroker(Fleet):
    """The broker inside of the test: `broker.app.serve` over a real socket and a real database.

    For what needs an injected clock or a defect, or has to look at what only the broker knows.
    """

    office: Office
    keeper: Timekeeper
    server: Server

    def __init__(self, home: Home, *, clock: Clock | None = None, config: Path | None = None) -> None:
        super().__init__(home)
        self._clock = clock
        self._config = config
        self._stop = anyio.Event()
        self._tasks: TaskGroup

    @property
    def hub(self) -> Hub:
        """Give who is connected."""
        return self.server.hub

    def end_of(self, principal: str) -> Connection:
        """Give the broker's end of the newest connection of `operator`, `harness` or an agent."""
        return [cast("Connection", line) for line in self.hub.lines() if line.principal.name == principal][-1]

    @contextmanager
    def writer_stopped(self) -> Generator[None]:
        """Let nothing be committed meanwhile, as on a disk that hangs."""
        go_on = threading.Event()
        self.office.writer.submit(lambda _: go_on.wait(START_S), lambda _: None)
        try:
            yield
        finally:
            go_on.set()

    async def start(self) -> None:
        """Serve until it listens."""
        self.home.create()
        self._stop = anyio.Event()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        listens = anyio.Event()
        self._tasks.start_soon(self._serve, listens)
        try:
            with anyio.fail_after(START_S):
                await listens.wait()
        except BaseException:
            await self._tasks.__aexit__(*sys.exc_info())
            raise

    async def _serve(self, listens: anyio.Event) -> None:
        def ready(office: Office) -> None:
            self.office = office
            listens.set()

        def timekeeper(office: Office, hub: Hub) -> Timekeeper:
            self.keeper = Timekeeper(office, hub)
            return self.keeper

        @asynccontextmanager
        async def listening(office: Office, path: Path, user_group: int | None) -> AsyncGenerator[Server]:
            async with edge.listening(office, path, user_group) as self.server:
                yield self.server

        with mock.patch.multiple(app, Timekeeper=timekeeper, listening=listening):
            await app.serve(app.BrokerOptions(self.home, self._config), self._stop, ready, self._clock)

    async def committed(self) -> None:
        """Return once everything that was submitted so far is committed."""
        await self.office.writer.run(lambda _: None)

    def stop(self) -> None:
        """Begin to stop, as SIGTERM would."""
        self._stop.set()

    async def end(self) -> None:
        """Stop, and wait for the end."""
        self.stop()
        await self._tasks.__aexit__(None, None, None)


class BrokerProcess(Fleet):
    """The broker as the program that users run."""

    def __init__(self, home: Home, *options: str) -> None:
        super().__init__(home)
        self._options = options
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Give its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """Give what it wrote to its standard error so far, over all starts."""
        return self.errors.read_text(encoding="utf-8") if self.errors.exists() else ""

    async def start(self) -> None:
        """Start it and wait for its ready line."""
        with self.errors.open("ab") as errors:
            self._process = await anyio.open_process(
                command(self.home, *self._options),
                stdin=DEVNULL, stdout=PIPE, stderr=errors, env=environment(), start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        lines = BufferedByteReceiveStream(self._process.stdout)
        with anyio.fail_after(START_S):
            try:
                self.ready = json.loads(await lines.receive_until(b"\n", 64 * 1024))
            except (anyio.EndOfStream, anyio.IncompleteRead):
                raise AssertionError(f"the broker did not start: {self.said}") from None

    async def kill(self) -> None:
        """End it with SIGKILL; returns when it is gone."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """End it with SIGTERM; gives its exit code."""
        return await self._end(signal.SIGTERM)

    async def interrupt(self) -> int:
        """End it with SIGINT, as Ctrl-C does; gives its exit code."""
        return await self._end(signal.SIGINT)

    async def restart(self) -> None:
        """Kill it and start it again on the same home."""
        await self.kill()
        await self.start()

    async def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(number)
        with anyio.fail_after(START_S):
            code = await process.wait()
        await process.aclose()
        return code

    async def end(self) -> None:
        """Kill it, if it runs."""
        if self._process is not None:
            with anyio.CancelScope(shield=True):
                await self.kill()


def command(home: Home, *options: str) -> list[str]:
    """Give the command line of a broker."""
    return [sys.executable, "-P", "-m", "broker", "--home", str(home.root), *options]


def environment() -> dict[str, str]:
    """Give the environment of a program under test: ours, without what names a fleet."""
    return {name: value for name, value in os.environ.items() if not name.startswith("QUEENPOST_")}


async def run_to_end(home: Home, *options: str, wrapper: Sequence[str] = ()) -> CompletedProcess[bytes]:
    """Start a broker that is expected to refuse, and wait for its end."""
    line = [*wrapper, *command(home, *options)]
    with anyio.fail_after(START_S):
        return await anyio.run_process(line, check=False, env=environment())
