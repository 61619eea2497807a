"""Standard input and output without threads: lines, completeness, cancellation."""

import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from mcp_tools import pipes
from mcp_tools.pipes import LineReader, LineWriter


@dataclass
class Pipe:
    """Both ends of a pipe."""

    read: int
    write: int


@pytest.fixture
def pipe() -> Generator[Pipe]:
    """A pipe that is closed in the end, if it was not before."""
    pipe = Pipe(*os.pipe())
    yield pipe
    for end in (pipe.read, pipe.write):
        if end >= 0:
            os.close(end)


async def lines_of(fd: int) -> list[str]:
    """Read to the end."""
    return [line async for line in LineReader(fd)]


async def test_lines_are_put_together_from_pieces(pipe: Pipe) -> None:
    """Ours."""
    os.write(pipe.write, b"one\ntw")
    reader = LineReader(pipe.read)
    with anyio.fail_after(15):
        assert await anext(reader) == "one\n"
        os.write(pipe.write, "o é\n\n".encode())
        assert [await anext(reader), await anext(reader)] == ["two é\n", "\n"]


async def test_the_end_of_input_ends_the_lines(pipe: Pipe) -> None:
    """Ours: an unfinished line is no message."""
    os.write(pipe.write, b"one\nunfinished")
    os.close(pipe.write)
    pipe.write = -1
    with anyio.fail_after(15):
        assert await lines_of(pipe.read) == ["one\n"]


async def test_a_file_can_be_read_too(tmp_path: Path) -> None:
    """Ours: what cannot be waited for never makes us wait."""
    (tmp_path / "f").write_bytes(b"one\ntwo\n")
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    with anyio.fail_after(15):
        assert await lines_of(fd) == ["one\n", "two\n"]
    os.close(fd)


async def test_bytes_that_are_no_text_cost_only_their_line(pipe: Pipe) -> None:
    """Ours."""
    os.write(pipe.write, b"\xff\xfe\nok\n")
    reader = LineReader(pipe.read)
    with anyio.fail_after(15):
        assert [await anext(reader), await anext(reader)] == ["\ufffd\ufffd\n", "ok\n"]


async def test_a_line_without_end_ends_the_input(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: memory is bounded."""
    monkeypatch.setattr(pipes, "MAX_LINE_BYTES", 1000)
    os.write(pipe.write, b"x" * 2000)
    with anyio.fail_after(15):
        assert await lines_of(pipe.read) == []


async def test_reading_can_be_cancelled(pipe: Pipe) -> None:
    """Ours: this is why there is no thread."""
    with anyio.move_on_after(0) as scope:
        await lines_of(pipe.read)
    assert scope.cancelled_caught


async def test_written_is_said_after_the_last_byte(pipe: Pipe) -> None:
    """Spec: a result counts as handed over when it was written completely."""
    text = "é" * 100_000 + "\n"
    written: list[bytes] = []
    got = bytearray()

    async def note(data: bytes) -> None:
        written.append(data)

    async def read_all() -> None:
        while len(got) < len(text.encode()):
            await anyio.wait_readable(pipe.read)
            # A pipe holds 64 KiB: as long as more than that is unread, it cannot all be in there.
            assert not written or len(got) > 100_000
            got.extend(os.read(pipe.read, 1 << 20))

    with anyio.fail_after(15):
        async with anyio.create_task_group() as group:
            group.start_soon(read_all)
            await LineWriter(pipe.write, note).write(text)
    assert bytes(got) == text.encode()
    assert written == [text.encode()]


async def test_writing_into_a_full_pipe_can_be_cancelled(pipe: Pipe) -> None:
    """Ours: a client that does not read holds up no exit."""
    written: list[bytes] = []

    async def note(data: bytes) -> None:
        written.append(data)

    with anyio.move_on_after(0.05) as scope:
        await LineWriter(pipe.write, note).write("x" * 10_000_000)
    assert scope.cancelled_caught
    assert not written


async def test_writing_to_nobody_is_an_error(pipe: Pipe) -> None:
    """Ours: the caller learns that its client is gone."""

    async def note(data: bytes) -> None:
        raise AssertionError(data)

    os.close(pipe.read)
    pipe.read = -1
    with pytest.raises(BrokenPipeError):
        await LineWriter(pipe.write, note).write("x\n")
