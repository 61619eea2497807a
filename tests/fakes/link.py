"""A broker as a client of the link sees it, over a real unix socket: welcomes, answers by script, hangs up.

It shares no code with `wire.transport`, so that a mistake there does not hide itself.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import pydantic_core
from anyio.abc import Listener, SocketStream, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from wire.codec import encode, encode_error, encode_result
from wire.errors import QueenpostError
from wire.fleet import Principal, Push, Welcome
from wire.model import Result

Frame = dict[str, Any]
Answer = Callable[[Frame], Result | QueenpostError]

WELCOME = Welcome(
    protocol=1,
    fleet="demo",
    principal=Principal(kind="operator", name="operator"),
    features=["attended"],
    server_time_ms=1_800_000_000_000,
    home="/srv/demo",
)


class FakeBroker:
    """Serves while it is entered. An op without an answer meets silence."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.greeting: bytes | QueenpostError | Welcome | None = WELCOME
        """What a hello is answered with; None hangs up."""
        self.answers: dict[str, Answer] = {}
        self.hellos: list[Frame] = []
        self._seen, self._unread = anyio.create_memory_object_stream[Frame](10_000)
        self._links: list[SocketStream] = []
        self._tasks: TaskGroup
        self._listener: Listener[SocketStream]

    async def next(self, op: str | None = None) -> Frame:
        """Wait for a request, in the order of arrival; with `op`, those before it are let go."""
        while True:
            frame = await self._unread.receive()
            if op in (None, frame["op"]):
                return frame

    def seen(self) -> list[Frame]:
        """Give the requests that came and were not waited for."""
        frames: list[Frame] = []
        with suppress(anyio.WouldBlock):
            while True:
                frames.append(self._unread.receive_nowait())
        return frames

    async def reply(self, request: Frame, answer: Result | QueenpostError) -> None:
        """Answer a request on the newest connection."""
        await self._links[-1].send(_reply(request, answer))

    async def push(self, push: Push) -> None:
        """Say something unasked."""
        await self.send(encode(push))

    async def send(self, data: bytes) -> None:
        """Put bytes on the newest connection as they are."""
        await self._links[-1].send(data)

    async def drop(self) -> None:
        """Hang up on everybody."""
        while self._links:
            await self._links.pop().aclose()

    async def stop(self) -> None:
        """Hang up, and be found by nobody any more."""
        self.path.unlink()
        await self.drop()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._listener = await anyio.create_unix_listener(self.path)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._listener.serve, self._serve)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Hang up and stop listening."""
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)
        await self._listener.aclose()
        self._seen.close()
        self._unread.close()

    async def _serve(self, stream: SocketStream) -> None:
        lines = BufferedByteReceiveStream(stream)
        with suppress(anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
            async with stream:
                self._links.append(stream)
                self.hellos.append(await _frame(lines))
                if self.greeting is None:
                    return
                await stream.send(_greeting(self.greeting))
                while True:
                    await self._take(stream, await _frame(lines))

    async def _take(self, stream: SocketStream, request: Frame) -> None:
        self._seen.send_nowait(request)
        answer = self.answers.get(request["op"])
        if answer is not None:
            await stream.send(_reply(request, answer(request)))


async def _frame(lines: BufferedByteReceiveStream) -> Frame:
    return pydantic_core.from_json(await lines.receive_until(b"\n", 2 * 1024 * 1024))


def _greeting(greeting: bytes | QueenpostError | Welcome) -> bytes:
    match greeting:
        case bytes():
            return greeting
        case QueenpostError():
            return encode_error(None, greeting)
        case Welcome():
            return encode(greeting)


def _reply(request: Frame, answer: Result | QueenpostError) -> bytes:
    if isinstance(answer, QueenpostError):
        return encode_error(request["id"], answer)
    return encode_result(request["id"], answer)
