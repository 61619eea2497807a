"""One session from its start to its end: its place, its door, its waker, and the program in the terminal.

Ends with the program. What it logs is in `logs/session-NAME.ndjson`: while the program has the terminal, nobody else
writes to it.
"""

import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from console.session import place
from console.session.door import Door, Said, door_path
from console.session.opening import Kind, Opened, check_words
from console.session.queueing import Queue
from console.session.serving import served
from console.session.terminal import run_in_terminal
from console.session.threads import Threads
from console.session.waking import Bell, Waker
from wire.agents import AgentsShow, AgentsShown, AgentSummary
from wire.client import BrokerClient
from wire.clock import SystemClock
from wire.codex_server import Served
from wire.errors import QueenpostError
from wire.home import Home
from wire.logs import configure, get_logger
from wire.private_files import read_secret

CONNECTED_AS = "session"
LEFT_WITHIN_S = 3.0
"""How long the tools of a program that has ended may take to give its mail back; they need a second at most."""

SESSION = "QUEENPOST_SESSION"
"""Tells hooks that the folder has for another agent that this session is not theirs (`mcp_tools/hooks/session.py`)."""

log = get_logger("session")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is opened."""

    home: Home
    kind: Kind
    program: str
    """Full path of the program."""
    name: str | None
    """None: any free name."""
    words: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ended:
    """How it went."""

    agent: str
    code: int
    left: AgentSummary | None
    """The agent afterwards; None where the broker could not be asked."""


async def run(plan: Plan, tell: Callable[[str], None]) -> Ended:
    """Open the program as an agent and wait for its end; `tell` is called with the name before it has the terminal.

    Raises:
        Invalid: the name, or words of the user that make it impossible. Conflict: the name is taken.
        Unavailable: no broker answers, or the program cannot be started.
    """
    check_words(plan.kind, plan.words)
    operator = partial(_client, plan.home, plan.home.operator_secret)
    with ExitStack() as stack:
        if plan.name is not None:
            stack.enter_context(place.alone(plan.home, plan.name))
        async with operator(reconnect=False) as client:
            agent = plan.name or await place.free_name(client, plan.home, plan.kind.name, stack)
            await place.take(client, agent)
        with door_path(plan.home, agent, os.environ) as path:
            tell(agent)
            configure(f"session-{agent}", folder=plan.home.logs, console=None, env=os.environ)
            words = plan.kind.words(Opened(agent, plan.home))
            environment = {**plan.environment, SESSION: agent}
            async with _halves(plan, words, environment, path.with_name("codex.sock")) as server:
                code = await _Session(plan, agent, path, server, environment).run(words, operator)
        return Ended(agent, code, await _left(operator, agent))


@asynccontextmanager
async def _halves(
    plan: Plan, ours: Sequence[str], environment: Mapping[str, str], socket: Path
) -> AsyncGenerator[Served | None]:
    """Have the server of a program that comes in two halves."""
    if plan.kind.name == "codex":
        async with served(plan.program, ours, plan.words, environment, socket) as server:
            yield server
    else:
        yield None


class _Session:
    def __init__(
        self, plan: Plan, agent: str, path: Path, server: Served | None, environment: Mapping[str, str]
    ) -> None:
        self._plan = plan
        self._agent = agent
        self._server = server
        self._id = ""
        self._environment = environment
        self._door = Door(path, self._heard)
        self._bell = self._bell_of(plan)
        self._waker = Waker(agent, self._bell, SystemClock(), self._note)

    def _bell_of(self, plan: Plan) -> Bell:
        if self._server is not None:
            return Threads(self._server.socket)
        return Queue([plan.program], self._environment) if plan.kind.name == "codex" else self._door

    async def run(self, ours: Sequence[str], operator: Callable[[], BrokerClient]) -> int:
        """Run the program; gives its exit code."""
        home, agent, server = self._plan.home, self._agent, self._server
        connect = partial(_client, home, home.agent_secret(agent))
        command = [self._plan.program, *(server.words if server else ours), *self._plan.words]
        code = 0
        async with anyio.create_task_group() as group:
            await group.start(self._door.serve)
            group.start_soon(_beside, partial(self._waker.run, connect, operator))
            if isinstance(self._bell, Threads):
                group.start_soon(_beside, partial(self._bell.follow, self._waker.stir))
            log.info("session_opened", agent=agent, file=self._plan.program, served=server is not None)
            code = await run_in_terminal(command, self._environment, [server.lifeline] if server else [])
            group.cancel_scope.cancel()
        log.info("session_ended", agent=agent, code=code)
        return code

    def _heard(self, said: Said) -> None:
        self._id = said.session
        if isinstance(self._bell, Queue | Threads):
            self._bell.heard(said)
        self._waker.heard(said)

    def _note(self, waiting: int) -> None:
        """Note how much mail the session was told of, where its hooks note it too."""
        path = self._plan.home.run / f"told-{self._agent}"
        with suppress(OSError):  # then it is told twice
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"session": self._id, "waiting": waiting}, file)


async def _beside(act: Callable[[], Awaitable[None]]) -> None:
    """Do something whose failure must not end the session that the user works in."""
    try:
        await act()
    except Exception:
        log.exception("session_not_woken_any_more")


def _client(home: Home, secret: Path, *, reconnect: bool = True) -> BrokerClient:
    return BrokerClient(home.socket, lambda: read_secret(secret), CONNECTED_AS, reconnect=reconnect)


async def _left(operator: Callable[..., BrokerClient], agent: str) -> AgentSummary | None:
    """Wait until the program's tools have let the agent go; gives it as it is then."""
    try:
        async with operator(reconnect=False) as client:
            found = (await client.call(AgentsShow(agent=agent), AgentsShown)).agent
            with anyio.move_on_after(LEFT_WITHIN_S):
                while found.attached:
                    await anyio.sleep(0.05)
                    found = (await client.call(AgentsShow(agent=agent), AgentsShown)).agent
            return found
    except QueenpostError as exc:
        log.info("not_asked_at_the_end", agent=agent, code=exc.code)
        return None
