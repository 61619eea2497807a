"""A broker that is killed and started again by the hundred, and the images that the kills leave."""

import shutil
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Self

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.fakes.broker import START_S, Fleet, environment
from tests.fakes.nursery import next_event
from tests.torture import nursery
from wire.home import Home


class BrokerNursery(Fleet):
    """Starts brokers by fork. Its `end` leaves no process."""

    def __init__(self, home: Home, *, asleep: bool = False) -> None:
        """Make one; `asleep`: entering it starts no broker yet."""
        super().__init__(home)
        self._asleep = asleep
        self._process: Process | None = None
        self._lines: BufferedByteReceiveStream

    async def __aenter__(self) -> Self:
        await self._open_nursery()
        return self if self._asleep else await super().__aenter__()

    async def start(self) -> None:
        """Start a broker and wait for its ready line."""
        assert await self._order("start") == "ready"

    async def kill(self) -> None:
        """End the broker with SIGKILL; returns when it is gone."""
        assert await self._order("kill") == "killed"

    async def try_for(self, seconds: float) -> bool:
        """Start a broker and kill it after so long; says whether it had come to its ready line."""
        if await self._order(f"try {seconds}") == "killed":
            return False
        assert await self._event() == "killed"
        return True

    async def end(self) -> None:
        """End nursery and broker."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            with anyio.CancelScope(shield=True), anyio.fail_after(START_S):
                await process.stdin.aclose()
                await process.wait()
                await process.aclose()

    async def _open_nursery(self) -> None:
        program = [sys.executable, "-P", str(nursery.__file__), str(self.home.root)]
        with self.errors.open("ab") as errors:
            self._process = await anyio.open_process(
                program, stdin=PIPE, stdout=PIPE, stderr=errors, env=environment(), start_new_session=True
            )
        assert self._process.stdout is not None
        self._lines = BufferedByteReceiveStream(self._process.stdout)

    async def _order(self, order: str) -> str:
        assert self._process is not None
        assert self._process.stdin is not None
        await self._process.stdin.send(order.encode() + b"\n")
        return await self._event()

    async def _event(self) -> str:
        with anyio.fail_after(START_S):
            return (await next_event(self._lines))["event"]


def image(database: Path, folder: Path) -> Path:
    """Copy a database as a kill left it, with its log, so that looking at it does not mend it."""
    copy = folder / database.name
    for name in (database.name, f"{database.name}-wal"):
        (folder / name).unlink(missing_ok=True)
        source = database.with_name(name)
        if source.exists():
            shutil.copyfile(source, folder / name)
    (folder / f"{database.name}-shm").unlink(missing_ok=True)
    return copy
