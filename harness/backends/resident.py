"""A program that outlives its turns: started when it is needed, heard all the time, ended with whoever opened it.

It knows lines, not what they mean: each JSON line goes to whoever listens, with the raw output beside it.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from harness.backends.lines import Lines
from harness.backends.process import Child, Launch, running
from harness.backends.protocol import Ended, NotStartedError, Output
from harness.backends.tasks import ended_by
from harness.warmth import Place, unbounded
from wire.logs import get_logger

QUEUED_LINES = 64
"""That a program has not read yet. One that reads nothing blocks nobody: it is told no more."""

log = get_logger("harness")


class Program:
    """One run of the program, over any number of turns."""

    def __init__(self, child: Child, scope: anyio.CancelScope) -> None:
        self.child = child
        self.scope = scope
        self.gone = anyio.Event()
        """It has ended, and nothing of it is left."""
        self._queue, self._queued = anyio.create_memory_object_stream[bytes](QUEUED_LINES)

    def say(self, message: dict[str, Any]) -> bool:
        """Have a line written behind those before it, at once or when it is read; False where it reads no more."""
        try:
            self._queue.send_nowait(json.dumps(message).encode() + b"\n")
        except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        return True

    async def feed(self) -> None:
        """Write what was said, until the program reads no more."""
        with self._queued:
            async for line in self._queued:
                if not await self.child.write(line):
                    return

    def close(self) -> None:
        """Take no more lines."""
        self._queue.close()
        self._queued.close()


class Listener:
    """What happens to what the program says. The methods run in the order in which it spoke."""

    async def output(self, output: Output) -> None:
        """Raw bytes, of both streams."""

    async def line(self, program: Program, message: dict[str, Any]) -> None:
        """One JSON object of stdout."""

    async def exited(self, program: Program, ended: Ended) -> None:
        """It ended by itself."""

    async def reaped(self) -> None:
        """It was ended between two turns, to make room; no turn begins before this has returned."""


class Resident:
    """At most one program at a time, restarted by whoever needs it."""

    def __init__(self, listener: Listener, place: Place | None = None) -> None:
        self._listener = listener
        self._place = place or unbounded()
        self._reaped = anyio.Event()
        """The one that had to make room is gone."""
        self._reaped.set()
        self._tasks: TaskGroup | None = None
        self.program: Program | None = None
        """The one that runs now."""

    @property
    def tasks(self) -> TaskGroup:
        """Where work belongs that must not outlive the backend."""
        if self._tasks is None:
            raise RuntimeError("a resident program is started within `open`")
        return self._tasks

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Be able to start programs; ends the one that runs when the context is left."""
        try:
            async with ended_by(self.end) as self._tasks:
                yield
        finally:
            self._tasks = None

    async def start(self, launch: Launch) -> Program:
        """Start the program; the one before is ended first.

        Raises:
            NotStartedError: there is no such program or folder.
        """
        await self.end()
        started: Program | NotStartedError = await self.tasks.start(self._live, launch)
        if isinstance(started, NotStartedError):
            raise started
        return started

    async def end(self) -> None:
        """End the program that runs, politely at first; returns when nothing of it is left."""
        await self._reaped.wait()
        program, self.program = self.program, None
        if program is not None:
            program.scope.cancel()
            await program.gone.wait()

    def _make_room(self, program: Program) -> None:
        """End an idle program; nobody waits for it but the next start."""
        if self.program is program:
            self.program = None
            self._reaped = anyio.Event()
            self.tasks.start_soon(self._reap, program)

    async def _reap(self, program: Program) -> None:
        with anyio.CancelScope(shield=True):
            program.scope.cancel()
            await program.gone.wait()
            try:
                await self._listener.reaped()
            finally:
                self._reaped.set()

    async def _live(self, launch: Launch, *, task_status: TaskStatus[Program | NotStartedError]) -> None:
        program: Program | None = None
        make_room = None
        try:
            with anyio.CancelScope() as scope:
                async with running(launch) as child:
                    self.program = program = Program(child, scope)
                    make_room = partial(self._make_room, program)
                    self._place.started(make_room)
                    task_status.started(program)
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(program.feed)
                        await self._hear(program)
                        tasks.cancel_scope.cancel()
        except NotStartedError as exc:
            task_status.started(exc)
        finally:
            if program is not None:
                if self.program is program:
                    self.program = None
                if make_room is not None:
                    self._place.ended(make_room)
                program.close()
                program.gone.set()

    async def _hear(self, program: Program) -> None:
        lines = Lines()
        async for event in program.child.events():
            match event:
                case Output(data, "stdout"):
                    await self._listener.output(event)
                    for message in lines.feed(data):
                        await self._listener.line(program, message)
                case Output():
                    await self._listener.output(event)
                case Ended():
                    if self.program is program:
                        self.program = None
                    await self._listener.exited(program, event)
                case _:
                    pass
        if lines.passed_over:
            log.debug("lines_passed_over", count=lines.passed_over)
