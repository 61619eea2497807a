"""The harness process: one link, one MCP server, one keeper per agent; started, told to stop, ended in order.

It knows nothing of turns. What is started here is handed in: the signal to stop, where the ready line goes.
"""

import json
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio.abc import TaskGroup, TaskStatus

from harness.checkpoints import Checkpoint, go_on
from harness.freezing import Freezing
from harness.supervision.fleet import Fleet
from harness.supervision.house import House
from harness.supervision.reaper import reap
from mcp_tools.bearers import Bearers
from mcp_tools.http import PATH, App, build_app
from mcp_tools.http import serve as serve_mcp
from wire import logs
from wire.client import BrokerClient, new_instance
from wire.errors import QueenpostError
from wire.home import Home
from wire.layout import require_known
from wire.link import Link
from wire.private_files import read_secret

LOG_NAME_CHARACTERS = 64

TOOLS_STOP_S = 0.8
"""How long tool calls may still be answered at the end."""

log = logs.get_logger("harness")


@dataclass(frozen=True, slots=True)
class HarnessSettings:
    """What the command line says."""

    home: Home
    names: tuple[str, ...] = ()
    """None: every agent that has a backend."""
    takeover: bool = False
    env: Mapping[str, str] = field(default_factory=dict[str, str])


def serve(settings: HarnessSettings, *, checkpoint: Checkpoint = go_on) -> int:
    """Host the agents until SIGTERM or SIGINT, or SIGUSR1 and the end of the turns that run; gives the exit code."""
    logs.configure(_program(settings.names), folder=settings.home.logs, console=sys.stderr, env=settings.env)
    return anyio.run(partial(run, settings, checkpoint=checkpoint))


async def run(
    settings: HarnessSettings, *, checkpoint: Checkpoint = go_on, say: Callable[[str], None] | None = None
) -> int:
    """As `serve`, inside an event loop; `say` gets the ready line instead of stdout."""
    try:
        settings.home.check()
        require_known(settings.home)
        reap(settings.home)
        return await _host(settings, checkpoint, say or _say)
    except QueenpostError as exc:
        log.error("harness_failed", code=exc.code, reason=exc.message)
        return 1


async def _host(settings: HarnessSettings, checkpoint: Checkpoint, say: Callable[[str], None]) -> int:
    fleets: list[Fleet] = []

    async def on_link(link: Link | None) -> None:
        if link is not None:
            for fleet in fleets:
                await fleet.on_link(link)

    app = build_app(bearers := Bearers())
    token = partial(read_secret, settings.home.harness_secret)
    async with BrokerClient(settings.home.socket, token, "harness", on_link=on_link) as client:
        house = House(
            settings.home,
            client,
            new_instance(),
            partial(_url, app),
            Freezing(settings.home.frozen),
            settings.takeover,
            bearers,
            checkpoint=checkpoint,
        )
        fleets.append(Fleet(house, settings.names))
        return await _serve_tools(fleets[0], app, say)


async def _serve_tools(fleet: Fleet, app: App, say: Callable[[str], None]) -> int:
    """Serve the tools for longer than the agents: a turn that is being stopped may still finish a call."""
    stop, drain, tools_stop = anyio.Event(), anyio.Event(), anyio.Event()
    code = 1
    async with anyio.create_task_group() as signals:
        await signals.start(_watch_signals, stop, drain)
        async with anyio.create_task_group() as tools:
            await tools.start(serve_mcp, app, tools_stop)
            code = await _serve_agents(fleet, app, stop, drain, say)
            tools_stop.set()
            tools.cancel_scope.deadline = anyio.current_time() + TOOLS_STOP_S
        signals.cancel_scope.cancel()
    return code


async def _serve_agents(
    fleet: Fleet, app: App, stop: anyio.Event, drain: anyio.Event, say: Callable[[str], None]
) -> int:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_drain, fleet, drain, stop)
        tasks.start_soon(_announce, tasks, fleet, app, stop, say)
        await stop.wait()
        await fleet.stop()
        tasks.cancel_scope.cancel()
    return 1 if fleet.nobody else 0


async def _announce(tasks: TaskGroup, fleet: Fleet, app: App, stop: anyio.Event, say: Callable[[str], None]) -> None:
    """Print the ready line once every agent was attached or refused; if all that were named were, stop."""
    await tasks.start(fleet.run)
    if fleet.nobody:
        log.error("nobody_hosted", refused=fleet.refused)
        stop.set()
        return
    ready = {"event": "ready", "agents": fleet.hosted, "mcp": _url(app), "refused": fleet.refused}
    say(json.dumps(ready))


async def _drain(fleet: Fleet, drain: anyio.Event, stop: anyio.Event) -> None:
    """Stop, when wanted, behind the turns that run."""
    await drain.wait()
    await fleet.drain()
    log.info("drained")
    stop.set()


async def _watch_signals(stop: anyio.Event, drain: anyio.Event, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1) as signals:
        task_status.started()
        async for number in signals:
            name = signal.Signals(number).name
            if number == signal.SIGUSR1:
                log.info("draining", signal=name)
                drain.set()
            else:
                log.info("stopping", signal=name)
                stop.set()


def _url(app: App) -> str:
    return f"http://{app.host}:{app.port}{PATH}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _program(names: tuple[str, ...]) -> str:
    """Name the log: two harnesses of one home must not write into the same file."""
    return "-".join(("harness", *names))[:LOG_NAME_CHARACTERS]
