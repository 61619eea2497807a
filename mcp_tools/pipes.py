"""Standard input and output as the SDK's stdio transport wants them, but without threads.

A thread that is parked in a read cannot be stopped, and would hold up the exit; these can be cancelled at any
point. And here is known when a line has been written completely, which the SDK does not say.
"""

import os
import select
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio

from wire.logs import get_logger

MAX_LINE_BYTES = 4 * 1024 * 1024
"""A longer line cannot be a request of ours; the connection ends."""

log = get_logger("mcp")

_CHUNK_BYTES = 64 * 1024
_NEVER_BLOCKS = select.PIPE_BUF
"""What fits at least into a pipe that says it is writable."""


class LineReader:
    """Lines from a descriptor, as an async iterator of text."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = bytearray()

    def __aiter__(self) -> "LineReader":
        return self

    async def __anext__(self) -> str:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_LINE_BYTES:
                log.error("line_too_long", max_line_bytes=MAX_LINE_BYTES)
                raise StopAsyncIteration
            chunk = await _read(self._fd)
            if not chunk:
                raise StopAsyncIteration
            self._buffer += chunk
        line = self._buffer[: end + 1].decode(errors="replace")
        del self._buffer[: end + 1]
        return line


async def _read(fd: int) -> bytes:
    with suppress(PermissionError):  # of a file or the null device, and reading those never waits
        await anyio.wait_readable(fd)
    return os.read(fd, _CHUNK_BYTES)


class LineWriter:
    """Writes text to a descriptor and tells of each piece that it has been written to its last byte."""

    def __init__(self, fd: int, on_written: Callable[[bytes], Awaitable[None]]) -> None:
        self._fd = fd
        self._on_written = on_written

    async def write(self, text: str) -> None:
        """Hand every byte to the system.

        Raises:
            OSError: nobody reads any more.
        """
        data = text.encode()
        rest = memoryview(data)
        while rest:
            await _writable(self._fd)
            rest = rest[os.write(self._fd, rest[:_NEVER_BLOCKS]) :]
        await self._on_written(data)

    async def flush(self) -> None:
        """Nothing is held back."""


async def _writable(fd: int) -> None:
    with suppress(PermissionError):
        await anyio.wait_writable(fd)


def claim_standard_streams() -> tuple[int, int]:
    """Take the wire for the protocol alone: stray prints go to stderr, stray readers get nothing."""
    wire_in, wire_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return wire_in, wire_out
