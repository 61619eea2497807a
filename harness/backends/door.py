"""What a backend gives for opening its session at a terminal. It starts nothing."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.backends.session_file import Session


def _same(session: Session) -> Session | None:
    return session


@asynccontextmanager
async def alone() -> AsyncGenerator[Sequence[str]]:
    """Have nothing beside the program."""
    yield ()


@dataclass(frozen=True, slots=True)
class Door:
    """One interactive start of an agent's program. Everybody on the machine can read `argv`: no secret is in it."""

    argv: list[str]
    cwd: Path
    env: Mapping[str, str]
    hint: str | None = None
    """What a person should know before it starts."""
    left: Callable[[Session], Session | None] = _same
    """With which session the agent goes on when the program has ended; None: with a new one."""
    beside: Callable[[], AbstractAsyncContextManager[Sequence[str]]] = alone
    """What has to be there while it runs; gives words that stand behind `argv`."""
