"""A person at a terminal, which is a real pty: starts a program in it, types, reads what is on it."""

import codecs
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread

from tests.architecture.tree import ROOT

IN_FRONT = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes the pty the controlling terminal and Ctrl-C a signal, also where the tests run in a shell's background, which
ignores it; then it is the program."""

_REPLIES = {b"\x1b[6n": b"\x1b[1;1R", b"\x1b[c": b"\x1b[?1;2c"}
"""What a terminal answers when a program asks it where the cursor is, and what it is."""

_ESCAPES = re.compile(r"\x1b(\[[0-9;?<>=]*[a-zA-Z]|\][^\x07\x1b]*(\x07|\x1b\\)|[()].|[=>78])")

PATIENCE_S = 40


class Person:
    """Someone with one program in front of them."""

    def __init__(self, terminal: int, side: int, process: subprocess.Popen[bytes]) -> None:
        self._terminal = terminal
        self._side = side
        """The program's side of the pty, kept open: what it did to the modes can be seen after its end."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._changed = anyio.Event()
        self.process = process
        self.screen = ""
        """All that was ever written."""

    def type(self, keys: str) -> None:
        """Type; `\\x03` is Ctrl-C, `\\r` Enter."""
        os.write(self._terminal, keys.encode())

    async def insist(self, keys: Sequence[str], until: Callable[[], object]) -> None:
        """Type keys, one after the other, until something is so: some programs lose what is typed too early."""
        with anyio.fail_after(PATIENCE_S):
            while not until():
                for key in keys:
                    self.type(key)
                    await anyio.sleep(0.5)

    @property
    def modes(self) -> list[object]:
        """How the terminal treats keys now."""
        return termios.tcgetattr(self._side)

    @property
    def words(self) -> str:
        """All that was written, without what only a terminal understands, and without blanks: they may be moves."""
        return "".join(_ESCAPES.sub("", self.screen).split())

    async def sees(self, words: str, times: int = 1) -> None:
        """Wait until something stands on the terminal."""
        await self._until(words, lambda: self.screen.count(words) >= times)

    async def reads(self, words: str, behind: int = 0) -> None:
        """Wait until words are drawn, in whichever way; `behind`: later than so much of `words`."""
        await self._until(words, lambda: "".join(words.split()) in self.words[behind:])

    async def _until(self, words: str, true: Callable[[], bool]) -> None:
        with anyio.move_on_after(PATIENCE_S):
            while not true():
                await self._changed.wait()
            return
        raise AssertionError(f"{words!r} is not on the terminal, but: {self.words[-3000:]}")

    async def sees_the_end(self) -> int:
        """Wait until the program has ended; gives its exit code."""
        with anyio.move_on_after(PATIENCE_S):
            return await anyio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        raise AssertionError(f"the program does not end; on the terminal: {self.words[-3000:]}\n{status}")

    async def read(self) -> None:
        """Read until cancelled, and answer like a terminal."""
        while True:
            await anyio.wait_readable(self._terminal)
            data = os.read(self._terminal, 65536)
            self.screen += self._decoder.decode(data)
            for question, reply in _REPLIES.items():
                if question in data:
                    os.write(self._terminal, reply)
            self._changed.set()
            self._changed = anyio.Event()


@asynccontextmanager
async def person(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> AsyncGenerator[Person]:
    """Put a person in front of a program; both are gone afterwards, with all that runs in the terminal."""
    terminal, side = os.openpty()
    termios.tcsetwinsize(side, (50, 160))
    started = [sys.executable, "-I", "-S", "-c", IN_FRONT, *command]
    process = subprocess.Popen(  # noqa: ASYNC220  # it is not waited for here
        started, stdin=side, stdout=side, stderr=side, env=dict(environment), cwd=folder, start_new_session=True
    )
    try:
        async with anyio.create_task_group() as group:
            someone = Person(terminal, side, process)
            group.start_soon(someone.read)
            yield someone
            group.cancel_scope.cancel()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(side)
        os.close(terminal)


def queenpost(*words: str) -> list[str]:
    """Give the command line of our own command, as it is in this tree."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from console.cli import main; main()"
    return [sys.executable, "-P", "-c", start, *words]
