"""Harnesses and brokers started by fork, one at a time: a test that starts dozens would only wait for imports."""

import json
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.fakes.nursery import next_event
from tests.scenarios.programs import MORTAL, Fleet
from tests.torture import nursery

START_S = 30.0


class Nursery:
    """A program that has ours loaded and takes orders, a line each."""

    def __init__(self, process: Process, said: Path) -> None:
        self._process = process
        self._said = said
        assert process.stdout is not None
        self._lines = BufferedByteReceiveStream(process.stdout)

    async def order(self, line: str) -> None:
        """Give an order."""
        assert self._process.stdin is not None
        await self._process.stdin.send(line.encode() + b"\n")

    async def event(self) -> dict[str, Any]:
        """Wait for what it says next, or what its child does."""
        with anyio.fail_after(START_S):
            try:
                return await next_event(self._lines)
            except anyio.IncompleteRead:
                raise AssertionError(f"it has ended: {self._said.read_text()[-4000:]}") from None


@asynccontextmanager
async def nursery_of(program: Path, arguments: Sequence[str], said: Path) -> AsyncGenerator[Nursery]:
    """Run a nursery; it ends, with its child, when it gets no more orders."""
    with said.open("wb") as errors:
        command = [sys.executable, "-P", str(program), *arguments]
        process = await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=errors)
    try:
        yield Nursery(process, said)
    finally:
        with anyio.CancelScope(shield=True), anyio.fail_after(START_S):
            assert process.stdin is not None
            await process.stdin.aclose()
            await process.wait()
            await process.aclose()


class Forks:
    """Starts the harnesses of one fleet. See `mortal_harness.py`, which it runs, for what kills them."""

    def __init__(self, fleet: Fleet, nursery: Nursery) -> None:
        self._fleet = fleet
        self._nursery = nursery
        self._runs = False

    async def start(self, *arguments: str) -> None:
        """Start a harness and wait until it is ready."""
        self._runs = True
        await self._order("start", *arguments, "--home", str(self._fleet.home.root))
        assert (await self._nursery.event())["event"] == "ready"

    async def dies(self) -> None:
        """Wait until it was killed."""
        await self._order("wait")
        assert await self._ended() == -signal.SIGKILL

    async def stop(self) -> None:
        """Tell it to end, and wait."""
        await self._order("signal", int(signal.SIGTERM))
        assert await self._ended() == 0

    async def end(self) -> None:
        """Kill the one that still runs."""
        if self._runs:
            await self._order("signal", int(signal.SIGKILL))
            await self._ended()
            self._fleet.clear_up()

    async def _ended(self) -> int:
        while "code" not in (event := await self._nursery.event()):
            pass
        self._runs = False
        return event["code"]

    async def _order(self, *order: object) -> None:
        await self._nursery.order(json.dumps(order))


@asynccontextmanager
async def forks(fleet: Fleet) -> AsyncGenerator[Forks]:
    """Have a nursery for harnesses of a fleet. Nothing of it is left behind."""
    said = fleet.home.root.parent / "said-harnesses"
    try:
        async with nursery_of(MORTAL, ["--nursery", str(fleet.armed)], said) as opened:
            yield Forks(fleet, opened)
    finally:
        fleet.clear_up()


class Brokers:
    """Starts the brokers of one home, which has none that runs."""

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery

    async def start(self) -> None:
        """Start one and wait until it listens."""
        await self._nursery.order("start")
        assert (await self._nursery.event())["event"] == "ready"

    async def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        await self._nursery.order("kill")
        assert (await self._nursery.event())["event"] == "killed"


@asynccontextmanager
async def brokers(fleet: Fleet) -> AsyncGenerator[Brokers]:
    """Have a nursery for the brokers that come behind the one the fleet began with."""
    said = fleet.home.root.parent / "said-brokers"
    async with nursery_of(Path(nursery.__file__), [str(fleet.home.root)], said) as opened:
        yield Brokers(opened)
