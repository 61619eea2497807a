"""The programs under load: started with a ready line, asked for their processor time, always stopped."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

READY_WITHIN_S = 30.0
STOPPED_WITHIN_S = 10.0


class NotReady(Exception):
    """A program ended, or said nothing in time; the message holds its last words."""


@asynccontextmanager
async def program(*arguments: str, errors: Path) -> AsyncGenerator[Process]:
    """Run `python -P -m …` while the block lasts, from its ready line on.

    Raises:
        NotReady: it printed no line in time.
    """
    with errors.open("ab") as stderr:
        process = await anyio.open_process(
            [sys.executable, "-P", "-m", *arguments], stdout=subprocess.PIPE, stderr=stderr
        )
    try:
        await _ready(process, arguments[0], errors)
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            await _stop(process)


async def _ready(process: Process, name: str, errors: Path) -> None:
    assert process.stdout is not None
    with anyio.move_on_after(READY_WITHIN_S), suppress(anyio.EndOfStream):
        await TextReceiveStream(process.stdout).receive()
        return
    raise NotReady(f"{name} did not start: {errors.read_text('utf-8', 'replace')[-2000:].strip()}")


async def _stop(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    with anyio.move_on_after(STOPPED_WITHIN_S):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    await process.aclose()


def processor_s(pid: int) -> float | None:
    """Give the processor time that a process has used so far; None where the system does not say (macOS)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
