"""Keep one program running: start it, hear that it is ready, start it again when it dies, at last give up."""

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
from anyio.abc import TaskStatus

from console.supervisor.child import Child, running
from console.supervisor.policy import Patience, Restarts
from console.supervisor.signals import DRAINING

LOGGED_WORDS = 3
"""Lines of a dead program's stderr that go into the log; it is one line there."""

Happened = Literal["started", "ready", "died", "failed"]
Said = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened to a program, for the log and the terminal."""

    program: str
    happened: Happened
    data: Said = field(default_factory=dict[str, Any])


Tell = Callable[[News], None]


@dataclass(frozen=True, slots=True)
class Program:
    """How a program is started, and how long it may take to stop."""

    name: str
    command: Callable[[int], Sequence[str]]
    """The command line; it is told how often the program was started before."""
    grace_s: float
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    fatal_codes: frozenset[int] = frozenset()
    """Exit codes after which another start would end the same way."""
    must_start: bool = False
    """The first start has to work: an end before the ready line is the answer, not a reason to try again."""
    patience: Patience = field(default_factory=Patience)


@dataclass(slots=True)
class Ended(Exception):
    """The program ended and is not started again."""

    program: str
    code: int
    last_words: Sequence[str]

    def __str__(self) -> str:
        said = f": {self.last_words[-1]}" if self.last_words else ""
        return f"{self.program} {how_it_ended(self.code)}{said}"


def how_it_ended(code: int) -> str:
    """Say an exit code in words."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def python(module: str, *arguments: str) -> list[str]:
    """Give the command line of a program of ours; -P keeps the current folder from shadowing its packages."""
    return [sys.executable, "-P", "-m", module, *arguments]


class Keeper:
    """One program with its restarts."""

    def __init__(self, program: Program, tell: Tell) -> None:
        self._program = program
        self._tell = tell
        self._restarts = Restarts(program.patience)
        self._starts = 0
        self.was_ready = False
        """Whether it ever was."""
        self._child: Child | None = None
        self._draining = False
        self._drained = anyio.Event()

    async def keep(self, *, task_status: TaskStatus[Said] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the program running until cancelled; then it is stopped before this returns.

        Started, in the sense of the task status, once the program is ready for the first time.

        Raises:
            Ended: it died too often, with a fatal code, or at a first start that had to work.
        """
        while True:
            ended = await self._run_once(task_status)
            if self._draining:
                self._drained.set()
                await anyio.sleep_forever()
            wait_s = self._wait_s(ended)
            data = {"code": ended.code, "last_words": list(ended.last_words[-LOGGED_WORDS:])}
            if wait_s is None:
                self._news("failed", data)
                raise ended
            self._news("died", {**data, "restart_in_s": wait_s})
            await anyio.sleep(wait_s)

    async def drain(self) -> None:
        """Let the program finish what it does and end by itself; returns when it has. It is not started again."""
        self._draining = True
        if self._child is not None:
            self._child.signal(DRAINING)
            await self._drained.wait()

    def _wait_s(self, ended: Ended) -> float | None:
        first_try_had_to_work = self._program.must_start and not self.was_ready
        if first_try_had_to_work or ended.code in self._program.fatal_codes:
            return None
        return self._restarts.died(anyio.current_time())

    async def _run_once(self, task_status: TaskStatus[Said]) -> Ended:
        program = self._program
        command = program.command(self._starts)
        self._starts += 1
        try:
            async with running(command, env=program.env, grace_s=program.grace_s) as child:
                self._child = child
                self._news("started", {"pid": child.pid, "start": self._starts})
                if await child.becomes_ready():
                    self._is_ready(child, task_status)
                return Ended(program.name, await child.ends(), child.last_words)
        except OSError as exc:
            return Ended(program.name, 127, [f"{command[0]}: {exc.strerror}"])
        finally:
            self._child = None

    def _is_ready(self, child: Child, task_status: TaskStatus[Said]) -> None:
        said = child.ready or {}
        self._news("ready", said)
        if not self.was_ready:
            self.was_ready = True
            task_status.started(said)

    def _news(self, happened: Happened, data: Said) -> None:
        self._tell(News(self._program.name, happened, data))
