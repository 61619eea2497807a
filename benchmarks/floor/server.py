"""The floor's process: a bare asyncio Protocol on a unix socket, and one thread that commits in batches.

The hand-over is the product's: requests of one turn of the loop ring the thread once, a batch comes back in one
`call_soon_threadsafe`. JSON goes through the same `from_json` and `to_json` of pydantic_core as the product's.
"""

import asyncio
import threading
from collections import deque
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

from pydantic_core import from_json, to_json

from benchmarks.floor.store import Answer, Job, Store
from wire.codec import encode
from wire.fleet import PROTOCOL, Principal, Welcome

WELCOME = encode(
    Welcome(
        protocol=PROTOCOL,
        fleet="floor",
        principal=Principal(kind="harness", name="harness"),
        features=[],
        server_time_ms=0,
        home="",
    )
)
"""So that the product's own client can be put on the floor too."""


class Server:
    """Gathers requests, and answers after their commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[Job] = deque()
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._ringing = False
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, job: Job) -> None:
        """Hand a request to the thread."""
        self._jobs.append(job)
        if not self._ringing:
            self._ringing = True
            self._loop.call_soon(self._ring)

    def _ring(self) -> None:
        self._ringing = False
        self._bell.put(True)

    def _work(self) -> None:
        while self._bell.get():
            while self._jobs:
                jobs = [self._jobs.popleft() for _ in range(len(self._jobs))]
                self._loop.call_soon_threadsafe(self._deliver, self._store.commit(jobs))

    def _deliver(self, answers: list[Answer]) -> None:
        lines: dict[Line, list[bytes]] = {}
        for answer in answers:
            frame = {"id": answer.job.frame["id"], "ok": True, "result": answer.result}
            lines.setdefault(cast("Line", answer.job.line), []).append(to_json(frame) + b"\n")
        for line, frames in lines.items():
            line.stream.write(b"".join(frames))


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._rest = b""
        self.stream: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: there is a connection."""
        self.stream = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes have come."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            frame: dict[str, Any] = from_json(line)
            match frame.get("op"):
                case None:
                    self.stream.write(WELCOME)
                case "fleet.ping":
                    result = {"server_time_ms": 0}
                    self.stream.write(to_json({"id": frame["id"], "ok": True, "result": result}) + b"\n")
                case _:
                    self._server.submit(Job(self, frame))


async def serve(database: Path, socket: Path, agents: list[str]) -> None:
    """Listen until the process is ended; says so with a line on stdout."""
    server = Server(Store(database, agents))
    listener = await asyncio.get_running_loop().create_unix_server(lambda: Line(server), path=str(socket))
    print('{"event": "ready"}', flush=True)
    await listener.serve_forever()
