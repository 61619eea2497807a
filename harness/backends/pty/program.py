"""One run of the program, over any number of turns: what it writes is drawn, what it asks its terminal is answered."""

from collections.abc import Callable
from pathlib import Path

import anyio

from harness.backends.process import DRAIN_S
from harness.backends.pty.keyboard import in_one_line, pasted
from harness.backends.pty.screen import Screen
from harness.backends.pty.terminal import READ_BYTES, Terminal

SHOWN_CHARACTERS = 300
"""Of the end of a screen, in a reason."""
QUEUED_REPLIES = 64
"""For a program that does not read them; further ones are not given."""


def _look_away() -> None:
    """See nothing."""


class GoneError(Exception):
    """The program has ended, or reads no more."""


class Program:
    """A program and what it shows."""

    def __init__(self, terminal: Terminal, screen: Screen, scope: anyio.CancelScope) -> None:
        self.terminal = terminal
        self.screen = screen
        self.scope = scope
        """Cancelled, it ends the program."""
        self.gone = anyio.Event()
        """Nothing of it is left."""
        self.ended = False
        """It has exited; what it wrote before is drawn."""
        self.version = 0
        """Of the screen: another one with each piece that was drawn."""
        self.glance: Callable[[], None] = _look_away
        """Called when something was drawn, whoever waits for it."""
        self._changed = anyio.Event()
        self._replies, self._queued = anyio.create_memory_object_stream[str](QUEUED_REPLIES)

    async def changed(self) -> None:
        """Wait until it writes or ends."""
        if not self.ended:
            await self._changed.wait()

    async def type(self, keys: str) -> None:
        """Type keys as they are.

        Raises:
            GoneError: it reads no more.
        """
        if self.ended or not await self.terminal.write(keys):
            raise GoneError

    async def put(self, text: str, file: Path) -> None:
        """Type text that may be anything, for the program to take as one piece; see `in_one_line` for the file.

        Raises:
            GoneError: it reads no more.
            OSError: the file cannot be written.
        """
        await self.type(pasted(text) if self.screen.takes_pastes else in_one_line(text, file))

    async def serve(self) -> None:
        """Draw what it writes until it has exited."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._reply)
            async with anyio.create_task_group() as drawing:
                drawing.start_soon(self._draw)
                await self.terminal.exited()
                drawing.cancel_scope.deadline = anyio.current_time() + DRAIN_S  # a child may keep the terminal open
            tasks.cancel_scope.cancel()
        self.ended = True
        self._tell()

    def close(self) -> None:
        """Answer nothing more."""
        self._replies.close()
        self._queued.close()

    @property
    def last_words(self) -> str:
        """The end of what is on its screen, in one line."""
        return " ".join(self.screen.text.split())[-SHOWN_CHARACTERS:]

    async def _draw(self) -> None:
        while data := await self.terminal.read():
            began = anyio.current_time()
            if replies := self.screen.feed(data):
                self._answer(replies)
            self.glance()
            self._tell()
            # Of a flood, others have at least as much of the machine as we do.
            await anyio.sleep(anyio.current_time() - began if len(data) == READ_BYTES else 0)

    def _answer(self, replies: str) -> None:
        try:
            self._replies.send_nowait(replies)
        except anyio.WouldBlock:
            return  # it asks without reading

    async def _reply(self) -> None:
        """Beside the drawing: one that does not read must not keep us from reading."""
        async for replies in self._queued:
            await self.terminal.write(replies)

    def _tell(self) -> None:
        self.version += 1
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
