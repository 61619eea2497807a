"""A broker that is killed and started again by the hundred, and the images that the kills leave."""

import json
import shutil
import sys
from pathlib import Path
from subprocess import PIPE

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.fakes.broker import START_S, Fleet, environment
from tests.torture import nursery
from wire.home import Home


class BrokerNursery(Fleet):
    """Starts brokers by fork. Its `end` leaves no process."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self._process: Process | None = None
        self._lines: BufferedByteReceiveStream

    async def start(self) -> None:
        """Start a broker and wait for its ready line."""
        if self._process is None:
            await self._open_nursery()
        assert await self._order("start") == "ready"

    async def kill(self) -> None:
        """End the broker with SIGKILL; returns when it is gone."""
        assert await self._order("kill") == "killed"

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
        with self.home.root.with_name("stderr").open("ab") as errors:
            self._process = await anyio.open_process(
                program, stdin=PIPE, stdout=PIPE, stderr=errors, env=environment(), start_new_session=True
            )
        assert self._process.stdout is not None
        self._lines = BufferedByteReceiveStream(self._process.stdout)

    async def _order(self, order: str) -> str:
        assert self._process is not None
        assert self._process.stdin is not None
        with anyio.fail_after(START_S):
            await self._process.stdin.send(order.encode() + b"\n")
            return json.loads(await self._lines.receive_until(b"\n", 64 * 1024))["event"]


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
