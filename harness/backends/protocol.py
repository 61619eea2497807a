"""The seam between the turn loop and what plays the model: a child per turn, or a program that stays.

It is deliberately *not* about mail: a backend gets words and says how the turn went. A pty or a JSON stream
fits behind it as well as a plain child: each of them gives output, begins to answer, uses tools, ends.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from wire.turns import Outcome, Usage

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether the program is there and which version it is."""

    version: str | None
    problem: str | None = None
    """What a person has to do before it can run; None where nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A tool call that the program wants allowed."""

    tool: str
    """Its name, as the program calls it."""
    detail: str
    """What it is to do, in a line or a few: a command, a path, arguments."""
    rule: str | None = None
    """The narrowest rule that would allow it from now on, in the program's own grammar; None: there is none."""
    subject: str | None = None
    """All that it is about, whole: one command, path or address. None: it cannot be said so, or there is more to it."""
    is_command: bool = False
    """A shell reads the subject."""


@dataclass(frozen=True, slots=True)
class Permitted:
    """What was decided. `always` is allowed too, and the rule holds for the rest of the session."""

    allow: bool
    always: bool = False
    why: str = ""
    """What the model is told where it was denied."""


Permit = Callable[[Permission], Awaitable[Permitted]]


async def deny(permission: Permission) -> Permitted:
    """Deny: nobody is there to be asked."""
    return Permitted(allow=False, why=f"{permission.tool} is not allowed here, and nobody can be asked")


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """One turn to run."""

    turn: str
    prompt: str | None
    """None: the program already holds the mail and goes on by itself (`Backend.resident` only)."""
    permit: Permit = deny
    """Decides about a tool call; it may take as long as a person takes."""


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes the program wrote, as they came."""

    data: bytes
    stream: Stream
    alive: bool = True
    """False: it only confirms that it heard us, and says nothing of the turn; a silent turn stays silent with it."""


@dataclass(frozen=True, slots=True)
class Began:
    """The model has begun to answer: from here on a crash counts against the mail."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The model used a tool, where the program reports it."""

    name: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How the turn ended, by the program's own word or by its exit."""

    outcome: Outcome
    reason: str = ""
    usage: Usage | None = None
    unseen: tuple[str, ...] = ()
    """Mail that was put into the turn but that the model never saw; it is carried into the next one."""
    until_ms: int | None = None
    """When what stood in the way is over, by the program's word; an instant of the wall clock."""


Event = Output | Began | ToolUse | Ended


class NotStartedError(Exception):
    """The program did not run at all; never the fault of the mail."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome: Outcome = outcome
        self.reason = reason


class RunningTurn(Protocol):
    """A turn while it runs."""

    @property
    def pid(self) -> int:
        """The process whose group the turn runs in."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Give what happens, in order; the last event is the one `Ended`."""
        ...

    async def nudge(self, text: str) -> bool:
        """Say something to the running model; False where the program takes nothing in during a turn."""
        ...

    async def interrupt(self) -> None:
        """Ask the program to end its turn now. It may not obey."""
        ...


class Backend(Protocol):
    """One agent's program."""

    @property
    def resident(self) -> bool:
        """Whether the program outlives its turns, and so can hold mail from one to the next."""
        ...

    @property
    def remembers(self) -> bool:
        """Whether the next turn goes on in a session whose model has read who it is, since it last forgot."""
        ...

    async def probe(self) -> Probe:
        """Look whether the program can run, without a turn."""
        ...

    def open(self) -> AbstractAsyncContextManager[None]:
        """Be there for turns. What outlives one turn is ended when the context is left; entered once."""
        ...

    def run(self, request: TurnRequest) -> AbstractAsyncContextManager[RunningTurn]:
        """Run one turn. Leaving the context ends it: politely, then not; nothing of it is left behind.

        Raises:
            NotStartedError: on entering; the turn ran nothing.
        """
        ...
