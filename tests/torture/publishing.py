"""A program that publishes events of its jobs as fast as it can, until its stdin ends; then it says the end of each.

Started as `python -P -m tests.torture.publishing HOME FOLDER FIRST`. The folder holds its claims, its outbox, and the
book that is left of it whenever it is killed: a line before each event is given to the outbox, and one behind it.
It imports nothing of the tests.
"""

import json
import os
import random
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from wire.client import BrokerClient
from wire.errors import Unavailable
from wire.events import Event, EventName, sign
from wire.home import Home
from wire.outbox import Outbox
from wire.private_files import read_secret
from wire.publisher import Publisher
from wire.records import Records

NOW = "2026-11-21T10:00:00.000Z"
MIDDLE: tuple[EventName, ...] = ("progress", "progress", "progress", "started")
ENDS: tuple[EventName, ...] = ("completed", "error")
EARLY_END = 0.01
"""How often the first job says an end in the middle, and goes on all the same."""
MOST_WAITING = 400
"""Events that are not recorded; beyond them it waits, so that a test ends when its kills do."""


@dataclass
class Desk:
    """The claims of one program, and its book."""

    folder: Path
    publisher: Publisher
    number: int
    """Of the next event: a number of its own, beside the one that the outbox gives."""
    claims: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _book: int = -1

    def __post_init__(self) -> None:
        self.claims = json.loads((self.folder / "claims.json").read_text(encoding="utf-8"))
        self._book = os.open(self.folder / "book", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self._book, b"\n")  # an earlier run may have been killed in a line

    async def publish_on(self) -> None:
        """Publish events of any job."""
        while True:
            while await to_thread.run_sync(self.publisher.outbox.count) >= MOST_WAITING:  # noqa: ASYNC110  # as a bound
                await anyio.sleep(0.01)
            claim = random.choice(self.claims)
            ends = claim is self.claims[0] and random.random() < EARLY_END
            await self.publish(claim, random.choice(ENDS if ends else MIDDLE))

    async def publish(self, claim: dict[str, Any], event: EventName) -> None:
        """Publish one event; the book has it as asked before, and as kept behind."""
        number, self.number = self.number, self.number + 1
        self._write(["asked", claim["job"], number, event])

        def signed(seq: int) -> bytes:
            made = Event(claim["fleet"], claim["job"], claim["kid"], claim["epoch"], seq, event, NOW, "", {"n": number})
            return sign(made, claim["topic"], claim["secret"])

        seq = await self.publisher.add(claim["job"], claim["epoch"], claim["topic"], signed, retain=event in ENDS)
        self._write(["kept", claim["job"], number, seq])

    def _write(self, line: list[str | int]) -> None:
        os.write(self._book, json.dumps(line).encode() + b"\n")


async def serve(home: Home, folder: Path, first: int) -> None:
    """Publish until stdin ends; then publish the ends, and return once everything is recorded."""
    async with AsyncExitStack() as stack:
        outbox = stack.enter_context(Outbox(folder / "outbox.db"))
        client = await _connected(stack, home)
        records = Records(client.call, "publisher")
        publisher = Publisher(f"torture-{os.getpid()}", outbox, records.tell, records.confirm, records.carry)
        desk = Desk(folder, publisher, first)
        async with anyio.create_task_group() as group:
            group.start_soon(publisher.run)
            async with anyio.create_task_group() as work:
                work.start_soon(desk.publish_on)
                await to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
                work.cancel_scope.cancel()
            for claim in desk.claims:
                await desk.publish(claim, "completed")
            await publisher.drained()
            group.cancel_scope.cancel()


async def _connected(stack: AsyncExitStack, home: Home) -> BrokerClient:
    """Connect, also while the broker is down."""
    token = read_secret(home.operator_secret).strip()
    while True:
        with suppress(Unavailable):
            return await stack.enter_async_context(BrokerClient(home.socket, lambda: token, "test"))
        await anyio.sleep(0.05)


if __name__ == "__main__":
    anyio.run(serve, Home(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3]))
