"""Loads on a post office, the same for product and floor. They run in this process, which is all the load there is."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import anyio

from benchmarks.fleet import BODY
from benchmarks.post import Post

SETTLE_S = 0.002
"""Until an open that was sent is parked for sure."""


async def life_cycles(post: Post, senders: Sequence[str], readers: Sequence[str], seconds: float) -> float:
    """Give life cycles a second: every pair sends, opens and closes, one message at a time, opens parked before."""
    started = perf_counter()
    closed = 0

    async def pair(sender: str, reader: str) -> None:
        handled = anyio.Event()

        async def read() -> None:
            nonlocal handled, closed
            while True:
                turn = await post.open(reader)
                await post.close(reader, turn)
                closed += 1
                handled.set()

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            while perf_counter() - started < seconds:
                await post.send(sender, reader, BODY)
                await handled.wait()
                handled = anyio.Event()
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for sender, reader in zip(senders, readers, strict=True):
            group.start_soon(pair, sender, reader)
    return closed / (perf_counter() - started)


async def sends(post: Post, senders: Sequence[str], sinks: Sequence[str], seconds: float) -> float:
    """Give durable sends a second; each sender sends again as soon as it has its receipt."""
    started = perf_counter()
    accepted = 0

    async def sender(name: str, sink: str) -> None:
        nonlocal accepted
        while perf_counter() - started < seconds:
            await post.send(name, sink, BODY)
            accepted += 1

    async with anyio.create_task_group() as group:
        for name, sink in zip(senders, sinks, strict=True):
            group.start_soon(sender, name, sink)
    return accepted / (perf_counter() - started)


async def durations(act: Callable[[], Awaitable[None]], count: int) -> list[float]:
    """Give how long an act takes, in seconds, one after the other."""
    taken: list[float] = []
    for _ in range(count):
        started = perf_counter()
        await act()
        taken.append(perf_counter() - started)
    return taken


@dataclass(slots=True)
class Wakes:
    """What one sender and one reader saw, in seconds; the reader was parked each time."""

    after_receipt: list[float] = field(default_factory=list[float])
    """From the sender's receipt to the reader's turn; negative where the turn was there first."""
    send: list[float] = field(default_factory=list[float])
    """From the call to the receipt."""


async def wakes(post: Post, sender: str, reader: str, count: int) -> Wakes:
    """Send to a parked reader, again and again."""
    seen = Wakes()
    for _ in range(count):
        turn, woken_at, sent_at, accepted_at = "", 0.0, 0.0, 0.0

        async def read() -> None:
            nonlocal turn, woken_at
            turn = await post.open(reader)
            woken_at = perf_counter()

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.sleep(SETTLE_S)
            sent_at = perf_counter()
            await post.send(sender, reader, BODY)
            accepted_at = perf_counter()
        seen.after_receipt.append(woken_at - accepted_at)
        seen.send.append(accepted_at - sent_at)
        await post.close(reader, turn)
    return seen
