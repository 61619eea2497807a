"""From the wish to open an agent's session to handing it back: refuse, borrow, serve the tools, run, remember.

It opens no turn and takes no mail: what comes meanwhile waits, and wakes the agent when its harness goes on.
"""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import anyio

from harness import session_lock
from harness.attach import terminal
from harness.attach.tools import Tools, served
from harness.backends import session_file
from harness.backends.doors import door_of, refuse
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.backends.session_file import Session
from harness.session_lock import Alone
from harness.supervision.reaper import reap
from harness.workspace import Workspace
from wire import logs
from wire.agents import AgentsLend, AgentsLent
from wire.client import BrokerClient
from wire.errors import Conflict, Invalid
from wire.home import Home
from wire.private_files import read_secret

LOOK_EVERY_S = 0.05
"""How often the session is tried for; its harness leaves it free for some seconds."""
ASK_EVERY_S = 2.0
SAY_AFTER_S = 1.0
"""Who waits longer is told why."""

Say = Callable[[str], None]
"""Told what a person should know."""

log = logs.get_logger("attach")


def _say_on_stderr(words: str) -> None:
    sys.stderr.write(f"queenpost: {words}\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line says."""

    home: Home
    agent: str
    interrupt: bool = False
    """Do not wait for the turn that runs: end it."""
    fork: bool = False
    """Open a copy, which nobody has to step aside for."""

    @property
    def workspace(self) -> Workspace:
        """The agent's folders."""
        return Workspace(self.home, self.agent)


def serve(wish: Wish) -> int:
    """Open the session at this terminal, and hand it back when the program is left; gives its exit code.

    Raises:
        QueenpostError: there is nothing to open, or nobody lends it.
    """
    logs.configure("attach", folder=None, console=None, env={})  # what a person should know is said
    try:
        return anyio.run(run, wish)
    except NotStartedError as exc:
        raise Invalid(f"{wish.agent}: {exc.reason}") from exc
    except OSError as exc:  # a lock, a note or a setting of the program has no place
        raise Invalid(
            f"the session of {wish.agent} cannot be opened: {exc}; see that {wish.workspace.ours} can be written"
        ) from exc


async def run(wish: Wish, *, say: Say = _say_on_stderr) -> int:
    """As `serve`, inside an event loop."""
    async with AsyncExitStack() as stack:
        token = partial(read_secret, wish.home.harness_secret)
        async with BrokerClient(wish.home.socket, token, "attach", reconnect=False) as client:
            ask = partial(_ask, wish, client)
            lent = await ask()
            refuse(lent.settings, fork=wish.fork)
            _session_of(Seat(wish.workspace, lent.settings, "", "", lent.account))
            alone = None if wish.fork else await stack.enter_async_context(_borrowed(wish, ask, say))
        return await _visit(wish, lent, alone, say)


async def _ask(wish: Wish, client: BrokerClient, *, step_aside: bool = False) -> AgentsLent:
    token = wish.home.agent_secret(wish.agent)
    request = AgentsLend(
        agent=wish.agent,
        # Without a file the broker knows better what is wrong: there may be no such agent.
        agent_token=read_secret(token) if token.exists() else None,
        step_aside=step_aside,
        now=step_aside and wish.interrupt,
    )
    return await client.call(request, AgentsLent)


@asynccontextmanager
async def _borrowed(wish: Wish, ask: Callable[..., Awaitable[object]], say: Say) -> AsyncGenerator[Alone]:
    """Have the session to oneself, for as long as the body runs.

    Raises:
        Conflict: somebody else has it at a terminal.
    """
    path = wish.workspace.session_lock
    with session_lock.alone(path) as alone:
        asks_at = started = anyio.current_time()
        told = False
        while not alone.take():
            now = anyio.current_time()
            if session_lock.is_at_terminal(path):
                guest = session_lock.guest_of(path)
                raise Conflict(
                    f"the session of {wish.agent} is open at a terminal{f' (pid {guest.pid})' if guest else ''}"
                )
            if now >= asks_at:
                await ask(step_aside=True)
                asks_at = now + ASK_EVERY_S
            if not told and now >= started + SAY_AFTER_S:
                told = True
                say(f"waiting for the turn of {wish.agent} to end; Ctrl-C gives up, --interrupt would end it")
            await anyio.sleep(LOOK_EVERY_S)
        logs.configure(f"attach-{wish.agent}", folder=wish.home.logs, console=None, env={})
        reap(wish.home)  # what a harness left behind that was killed might still write into it
        try:
            yield alone
        finally:
            alone.leave()


async def _visit(wish: Wish, lent: AgentsLent, alone: Alone | None, say: Say) -> int:
    async with served(wish.home, wish.agent, lent.role) as tools:
        return await _play(wish, lent, tools, alone, say)


async def _play(wish: Wish, lent: AgentsLent, tools: Tools, alone: Alone | None, say: Say) -> int:
    workspace = wish.workspace
    seat = Seat(workspace, lent.settings, tools.url, tools.token, lent.account)
    session = _session_of(seat)
    await seat.prepare()
    door = door_of(seat, session, fork=wish.fork)
    if door.hint is not None:
        say(door.hint)
    log.info("session_opened", agent=wish.agent, session=session.id, fork=wish.fork)
    async with door.beside() as words:
        opened = replace(door, argv=[*door.argv, *words])
        code = await terminal.run(opened, lambda pid: None if alone is None else alone.note(pid))
    log.info("session_left", agent=wish.agent, session=session.id, fork=wish.fork, code=code)
    if alone is not None:
        _hand_back(workspace, session, door.left(session))
        say(f"{wish.agent} goes on with it, and with the mail that waits")
    return code


def _session_of(seat: Seat) -> Session:
    session = session_file.read(seat.workspace.session_file, seat.settings.backend, seat.cwd)
    if session is None:
        raise NotStartedError("missing_program", "it has no session yet; one begins with its first mail")
    return session


def _hand_back(workspace: Workspace, session: Session, left: Session | None) -> None:
    if left is None:
        session_file.forget(workspace.session_file)
    elif left != session:
        log.info("session_changed", agent=workspace.agent, session=left.id)
        session_file.write(workspace.session_file, left)
