"""The floor's client: a bare asyncio Protocol and one future a call; no deadline, no model, no retry."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json, to_json

from wire.client import new_key


class FloorLine(asyncio.Protocol):
    """One connection to the floor's process."""

    def __init__(self) -> None:
        self.stream: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._out: list[bytes] = []
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: there is a connection."""
        self.stream = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes have come."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            frame = from_json(line)
            future = self._waiting.pop(frame["id"])
            if not future.done():
                future.set_result(frame["result"])

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: it has ended, and so has everybody's wait."""
        for future in self._waiting.values():
            future.cancel()

    def call(self, frame: dict[str, Any]) -> asyncio.Future[dict[str, Any]]:
        """Ask; what is asked within one turn of the loop goes out in one system call."""
        self._last += 1
        frame["id"] = self._last
        future = self._waiting[self._last] = self._loop.create_future()
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(to_json(frame) + b"\n")
        return future

    def _flush(self) -> None:
        self.stream.write(b"".join(self._out))
        self._out.clear()


class FloorPost:
    """`benchmarks.post.Post` over the floor: senders on one connection, readers on another."""

    def __init__(self, senders: FloorLine, readers: FloorLine) -> None:
        self._senders = senders
        self._readers = readers

    async def ping(self) -> None:
        """A round trip that stores nothing."""
        await self._senders.call({"op": "fleet.ping"})

    async def send(self, sender: str, recipient: str, body: str) -> None:
        """Send; durable once it returns."""
        frame = {"op": "inbox.send", "as": sender, "to": recipient, "body": body, "key": new_key()}
        await self._senders.call(frame)

    async def open(self, agent: str) -> str:
        """Open a turn as soon as there is mail."""
        frame: dict[str, Any] = {"op": "turns.open", "as": agent, "wait_s": 60.0}
        try:
            return (await self._readers.call(frame))["turn"]["id"]
        except asyncio.CancelledError:
            self._readers.call({"op": "request.cancel", "request": frame["id"]})
            raise

    async def close(self, agent: str, turn: str) -> None:
        """Close it as completed."""
        frame: dict[str, Any] = {
            "op": "turns.close",
            "as": agent,
            "turn": turn,
            "outcome": "completed",
            "begun": True,
            "carry": [],
        }
        await self._readers.call(frame)


@asynccontextmanager
async def floor_post(socket: Path) -> AsyncGenerator[FloorPost]:
    """Connect twice, as the product's load does."""
    loop = asyncio.get_running_loop()
    _, senders = await loop.create_unix_connection(FloorLine, str(socket))
    _, readers = await loop.create_unix_connection(FloorLine, str(socket))
    try:
        yield FloorPost(senders, readers)
    finally:
        senders.stream.close()
        readers.stream.close()
