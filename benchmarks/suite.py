"""What is measured, in which order: each round takes every figure once, product and floor next to each other."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import anyio
import anyio.to_thread
from anyio.abc import Process

from benchmarks import loads
from benchmarks.agent_rows import agent_figures, agent_goals
from benchmarks.bursts import bursts
from benchmarks.commits import one_row_commits
from benchmarks.events import event_figures, event_goals, events
from benchmarks.figures import Figure, percentile
from benchmarks.fleet import BODY, Fleet
from benchmarks.floor.client import floor_post
from benchmarks.freezes import freezes
from benchmarks.hooks import hook_runs
from benchmarks.idleness import idleness
from benchmarks.noise import beside_noise
from benchmarks.plan import Plan
from benchmarks.post import Post
from benchmarks.product import floor_with_our_client, harness, product_post
from benchmarks.programs import processor_s, program
from benchmarks.reminders import beside_reminders
from benchmarks.rows import Series, figures
from benchmarks.sessions import beside_sessions, session_figures, session_goals
from benchmarks.tools import tool_sends
from benchmarks.turns import beside_claude
from wire.home import CONFIG_NAME, Home
from wire.turns import TurnsOpen, TurnsOpened

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Side:
    """One post office under load, and its process."""

    name: str
    post: Post
    process: Process


@dataclass(frozen=True, slots=True)
class Sides:
    """What is under load in a round."""

    pair: tuple[Side, Side]
    """Product and floor, in the order of this round."""
    floor_with_our_client: Side
    slow: Side


async def measure(plan: Plan, folder: Path, say: Say) -> list[Figure]:
    """Take every figure in a folder of its own, which may be removed afterwards."""
    fleet = Fleet(plan.pairs)
    home, slow_home = _home(folder / "home", fleet), _home(folder / "slow", fleet)
    series = Series()
    async with (
        _product(home, fleet, folder) as product,
        _floor(fleet, folder) as (floor, floor_client),
        _product(slow_home, fleet, folder, "benchmarks.slow_disk") as slow,
    ):
        for number in range(-1, plan.rounds):  # the one before the first warms up and does not count
            say(f"round {number + 1} of {plan.rounds}" if number >= 0 else "warming up")
            sides = (product, floor) if number % 2 else (floor, product)
            loaded = Sides(sides, floor_client, slow)
            await _round(series if number >= 0 else Series(), plan, fleet, loaded, folder)
        say("the tools over stdio")
        taken = await tool_sends(home, fleet.spare, fleet.sinks[0], plan.samples)
        series.add("tool send", percentile(taken, 50))
        say("hooks")
        for _ in range(plan.rounds):
            runs = await anyio.to_thread.run_sync(hook_runs, home, fleet.spare)
            series.add("hook", runs.hook)
            series.add("bare python", runs.nothing)
        say("malformed frames beside a healthy client")
        for _ in range(plan.rounds):
            await beside_noise(series, plan, home, product.post, fleet, folder)
        say("reminders that are due, beside a sender")
        for _ in range(plan.drains):
            await beside_reminders(series, plan, home, product.post, fleet)
    say("starts after kill -9")
    await _restarts(series, plan, home, fleet, folder)
    say("parked agents")
    await _idle(series, plan, home, fleet, folder)
    say("Claude Code, alone and in a fleet")
    await beside_claude(series, plan, folder / "claude")
    say("Claude Code, interactive and idle")
    await beside_sessions(series, plan, folder / "sessions")
    say("bursts")
    await bursts(series, plan, folder / "bursts")
    say("agents that have nothing to do")
    await idleness(series, plan, folder / "idleness")
    say("freezes")
    await freezes(series, plan, folder / "freezes")
    say("signed events over MQTT")
    await events(series, plan, folder / "events")
    own = figures(series, plan)
    goals = [figure for figure in own if figure.goal is not None]
    rest = [*own[len(goals) :], *agent_figures(series, plan), *session_figures(series), *event_figures(series)]
    return [*goals, *agent_goals(series, plan), *session_goals(series), *event_goals(series), *rest]


def _home(root: Path, fleet: Fleet) -> Home:
    home = Home(root)
    home.create()
    (home.root / CONFIG_NAME).write_text(fleet.settings, encoding="utf-8")
    return home


@asynccontextmanager
async def _product(home: Home, fleet: Fleet, folder: Path, module: str = "broker") -> AsyncGenerator[Side]:
    async with (
        _broker(home, folder, module) as process,
        product_post(home, fleet.senders, fleet.readers) as post,
    ):
        yield Side("product" if module == "broker" else "slow", post, process)


@asynccontextmanager
async def _floor(fleet: Fleet, folder: Path) -> AsyncGenerator[tuple[Side, Side]]:
    """The floor with a client as bare as itself, and with the product's."""
    database = str(folder / "floor.db")
    with TemporaryDirectory(prefix="qp-floor-") as short:  # the path of a socket has to be
        socket = Path(short) / "floor.sock"
        arguments = ("--database", database, "--socket", str(socket), "--agents", ",".join(fleet.agents))
        async with (
            program("benchmarks.floor", *arguments, errors=folder / "floor.log") as process,
            floor_post(socket) as post,
            floor_with_our_client(socket) as with_our_client,
        ):
            yield Side("floor", post, process), Side("our client", with_our_client, process)


def _broker(home: Home, folder: Path, module: str = "broker") -> AbstractAsyncContextManager[Process]:
    return program(module, "--home", str(home.root), errors=folder / f"{module}.log")


async def _round(series: Series, plan: Plan, fleet: Fleet, sides: Sides, folder: Path) -> None:
    commits = one_row_commits(folder / "commits.db", plan.samples)
    series.add("commit", percentile(commits, 50))
    for side in (*sides.pair, sides.floor_with_our_client):
        load = partial(loads.life_cycles, side.post, fleet.senders, fleet.readers, plan.window_s)
        await _under_load(series, side, "cycles", load)
    for side in (*sides.pair, sides.slow):
        load = partial(loads.sends, side.post, fleet.senders, fleet.sinks, plan.window_s)
        await _under_load(series, side, "sends", load)
        load = partial(loads.sends, side.post, fleet.senders[:1], fleet.sinks[:1], plan.window_s)
        await _under_load(series, side, "one", load)
    for side in sides.pair:
        await _latencies(series, plan, fleet, side)


async def _under_load(series: Series, side: Side, name: str, load: Callable[[], Awaitable[float]]) -> None:
    before, ours_before, started = processor_s(side.process.pid), process_time(), perf_counter()
    rate = await load()
    after, ours, taken_s = processor_s(side.process.pid), process_time() - ours_before, perf_counter() - started
    series.add(f"{side.name} {name}", rate)
    if before is not None and after is not None:
        series.add(f"{side.name} {name} broker cpu", (after - before) / rate / taken_s)
        series.add(f"{side.name} {name} client cpu", ours / rate / taken_s)


async def _latencies(series: Series, plan: Plan, fleet: Fleet, side: Side) -> None:
    sender, reader, sink = fleet.senders[0], fleet.readers[0], fleet.sinks[0]
    pings = await loads.durations(side.post.ping, plan.samples)
    sends = await loads.durations(lambda: side.post.send(sender, sink, BODY), plan.samples)
    woken = await loads.wakes(side.post, sender, reader, plan.samples)
    series.add(f"{side.name} ping", percentile(pings, 50))
    series.add(f"{side.name} send p50", percentile(sends, 50))
    series.add(f"{side.name} send p99", percentile(sends, 99))
    series.add(f"{side.name} wake", percentile(woken.after_receipt, 50))


async def _restarts(series: Series, plan: Plan, home: Home, fleet: Fleet, folder: Path) -> None:
    """From the start of the process to the first durable answer; each broker before was killed."""
    for number in range(plan.restarts + 1):  # the first one only starts the broker that is killed
        started = perf_counter()
        async with _broker(home, folder) as process, product_post(home, fleet.senders[:1], []) as post:
            await post.send(fleet.senders[0], fleet.sinks[0], BODY)
            if number:
                series.add("restart", perf_counter() - started)
            process.kill()
            await process.wait()


async def _idle(series: Series, plan: Plan, home: Home, fleet: Fleet, folder: Path) -> None:
    """Processor time of a broker on which agents are parked and nothing happens."""
    agents = fleet.readers[: plan.idle_agents]
    async with (
        _broker(home, folder) as process,
        harness(home, agents) as client,
        anyio.create_task_group() as group,
    ):
        for agent in agents:
            group.start_soon(partial(client.call, TurnsOpen(), TurnsOpened, as_=agent))
        await anyio.sleep(0.5)
        before = processor_s(process.pid)
        await anyio.sleep(plan.idle_s)
        after = processor_s(process.pid)
        if before is not None and after is not None:
            series.add("idle", (after - before) / plan.idle_s)
        group.cancel_scope.cancel()
