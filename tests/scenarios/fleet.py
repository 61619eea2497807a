"""Who talks to a broker in these tests: workers, sessions, and bare lines for what no client would say."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream

from wire import agents, fleet, inbox, turns
from wire.client import BrokerClient, new_key

PATIENCE_S = 15.0
"""Deadline of whatever a test waits for, unless the design says less."""


@dataclass
class Worker:
    """An attached instance of an agent, and the client that speaks for it."""

    client: BrokerClient
    name: str
    instance: str
    attached: agents.AgentsAttached
    as_: str | None = None
    """None on a connection of the agent's own."""
    takes_over: bool = False
    """At its next attach it may take the place of whoever holds the agent."""

    @property
    def epoch(self) -> int:
        """Give the epoch that the broker granted last."""
        return self.attached.epoch

    async def open(self, wait_s: float = PATIENCE_S) -> turns.Turn | None:
        """Open a turn; None if the wait passed without mail."""
        request = turns.TurnsOpen(wait_s=wait_s)
        return (await self.client.call(request, turns.TurnsOpened, as_=self.as_)).turn

    async def opened(self) -> turns.Turn:
        """Open a turn over mail that is there or comes."""
        turn = await self.open()
        assert turn is not None, f"no mail came for {self.name}"
        return turn

    async def take(
        self, turn: str | None = None, *, maximum: int = 1, wait_s: float = 0.0, done: str | None = None
    ) -> turns.TurnsTaken:
        """Lease more mail."""
        request = turns.TurnsTake(turn=turn, max=maximum, wait_s=wait_s, done=done)
        return await self.client.call(request, turns.TurnsTaken, as_=self.as_)

    async def close(self, turn: str, outcome: turns.Outcome = "completed", *, begun: bool = True) -> turns.TurnsClosed:
        """End a turn."""
        request = turns.TurnsClose(turn=turn, outcome=outcome, begun=begun)
        return await self.client.call(request, turns.TurnsClosed, as_=self.as_)

    async def give_back(self, turn: str, *ids: str) -> turns.TurnsGivenBack:
        """Return mail."""
        request = turns.TurnsGiveBack(turn=turn, ids=list(ids))
        return await self.client.call(request, turns.TurnsGivenBack, as_=self.as_)

    async def send(
        self, to: str, body: str = "hello", *, in_reply_to: str | None = None, key: str | None = None
    ) -> inbox.InboxSent:
        """Send as the agent."""
        return await send(self.client, to, body, in_reply_to=in_reply_to, key=key, as_=self.as_)

    async def explain(self, message: str) -> inbox.InboxExplained:
        """Ask for the story of a message, as the agent."""
        return await self.client.call(inbox.InboxExplain(message=message), inbox.InboxExplained, as_=self.as_)


async def send(
    client: BrokerClient,
    to: str,
    body: str = "hello",
    *,
    in_reply_to: str | None = None,
    key: str | None = None,
    as_: str | None = None,
) -> inbox.InboxSent:
    """Send on any connection that may."""
    request = inbox.InboxSend(key=key or new_key(), to=to, body=body, in_reply_to=in_reply_to)
    return await client.call(request, inbox.InboxSent, as_=as_)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nothing announces; the one place that looks again and again.

    Raises:
        TimeoutError: it did not come true.
    """
    with anyio.fail_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.005)


async def settled(client: BrokerClient) -> None:
    """Return once the broker has taken everything that tasks of this test wanted to send on a connection.

    Frames of one connection are taken in their order: what is answered behind them says that they were.
    """
    await anyio.lowlevel.checkpoint()
    await client.call(fleet.FleetPing(), fleet.FleetPong)


class RawLine:
    """A connection without a client: bytes out, frames in. Closed with its fleet, or before."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._frames = BufferedByteReceiveStream(stream)

    async def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        await self._stream.send(data)

    async def say_all(self, data: bytes) -> None:
        """Write bytes even where the broker may hang up before it has read them all."""
        with suppress(anyio.BrokenResourceError):
            await self.send(data)

    async def ask(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        """Send one frame and give the next one that comes and is no event."""
        await self.send(json.dumps(frame).encode() + b"\n")
        while "event" in (answer := await self.frame()):
            pass
        return answer

    async def hello(self, token: str, **fields: object) -> dict[str, Any]:
        """Say hello and give what is answered."""
        hello = {"hello": "queenpost", "protocol": fleet.PROTOCOL, "token": token, "kind": "test"}
        return await self.ask({**hello, **fields})

    async def line(self) -> bytes:
        """Wait for the next frame, as it was sent."""
        with anyio.fail_after(PATIENCE_S):
            return await self._frames.receive_until(b"\n", 8 * 1024 * 1024)

    async def frame(self) -> dict[str, Any]:
        """Wait for the next frame."""
        return json.loads(await self.line())

    async def ended(self) -> bytes:
        """Wait until the broker has hung up; give what it said before."""
        said = bytearray()
        with anyio.fail_after(PATIENCE_S):
            try:
                while True:
                    said += await self._frames.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return bytes(said)

    async def end_of_writing(self) -> None:
        """Say nothing more, but listen on."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Hang up."""
        await anyio.aclose_forcefully(self._stream)
