"""Many reminders that are due at once, and what a sender notices of it: the timekeeper fires them between sends."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import anyio

from benchmarks.figures import percentile
from benchmarks.fleet import BODY, Fleet
from benchmarks.plan import Plan
from benchmarks.post import Post
from benchmarks.rows import Series
from wire.client import BrokerClient, new_key
from wire.home import Home
from wire.private_files import read_secret
from wire.reminders import RemindersAdd, RemindersAdded, RemindersCounted, RemindersStats

SET_AT_ONCE = 64
"""Requests in flight while the reminders are set."""
SET_PER_SECOND = 2000.0
"""They are all due at one instant, when they have been set at this pace; where that is slower, it begins meanwhile."""
LOOK_EVERY_S = 0.1

Send = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Drain:
    """One drain: how long each send took around it and during it, and how long it took itself, in seconds."""

    idle: Sequence[float]
    meanwhile: Sequence[float]
    seconds: float


async def beside_reminders(series: Series, plan: Plan, home: Home, post: Post, fleet: Fleet) -> None:
    """Drain once, while one sender sends."""

    async def send() -> None:
        await post.send(fleet.senders[0], fleet.sinks[0], BODY)

    async with BrokerClient(home.socket, lambda: read_secret(home.operator_secret).strip(), "bench") as operator:
        seen = await drain(operator, fleet.readers, plan.reminders, plan.idle_s, send)
    series.add("idle send p95", percentile(seen.idle, 95))
    series.add("send p95 beside reminders", percentile(seen.meanwhile, 95))
    series.add("reminders", plan.reminders / seen.seconds)


async def drain(operator: BrokerClient, agents: Sequence[str], count: int, idle_s: float, send: Send) -> Drain:
    """Let reminders of agents be due at one instant, so many; somebody sends all the time, one after the other."""
    before = await _fired(operator)
    idle = await _sends_for(operator, send, idle_s)
    due = perf_counter() + 1 + count / SET_PER_SECOND
    await _set(operator, agents, count, due)
    await anyio.sleep(max(due - perf_counter(), 0))
    start = perf_counter()
    meanwhile = await _sends_until(operator, send, lambda fired: fired >= before + count)
    seconds = perf_counter() - start
    return Drain([*idle, *await _sends_for(operator, send, idle_s)], meanwhile, seconds)


async def _set(operator: BrokerClient, agents: Sequence[str], count: int, due: float) -> None:
    at_once = anyio.CapacityLimiter(SET_AT_ONCE)

    async def one(number: int) -> None:
        async with at_once:
            agent = agents[number % len(agents)]
            delay_s = max(due - perf_counter(), 0.0)
            request = RemindersAdd(key=new_key(), message="look at the queue", delay_s=delay_s, agent=agent)
            await operator.call(request, RemindersAdded)

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)


async def _sends_for(operator: BrokerClient, send: Send, seconds: float) -> list[float]:
    end = perf_counter() + seconds
    return await _sends_until(operator, send, lambda _: perf_counter() >= end)


async def _sends_until(operator: BrokerClient, send: Send, is_over: Callable[[int], bool]) -> list[float]:
    """Send, and look now and then at how many reminders have fired; gives how long each send took."""
    taken: list[float] = []
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while True:
                if is_over(await _fired(operator)):
                    group.cancel_scope.cancel()
                await anyio.sleep(LOOK_EVERY_S)

        group.start_soon(watch)
        while True:
            started = perf_counter()
            await send()
            taken.append(perf_counter() - started)
    return taken


async def _fired(operator: BrokerClient) -> int:
    counted = await operator.call(RemindersStats(), RemindersCounted)
    return sum(one.delivered for one in counted.agents)
