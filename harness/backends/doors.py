"""Which backends can open their agent's session at a terminal."""

from collections.abc import Callable

from harness.backends.claude import terminal as claude
from harness.backends.codex import terminal as codex
from harness.backends.door import Door
from harness.backends.gemini import terminal as gemini
from harness.backends.opencode import terminal as opencode
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.backends.session_file import Session
from wire.settings import AgentSettings, Backend

DOORS: dict[Backend, Callable[..., Door]] = {
    "claude": claude.door,
    "codex": codex.door,
    "gemini": gemini.door,
    "opencode": opencode.door,
}


def refuse(settings: AgentSettings, *, fork: bool) -> None:
    """See to it that there is something to open, before anybody is made to step aside.

    Raises:
        NotStartedError: there is not.
    """
    backend = settings.backend
    if backend == "none":
        raise NotStartedError("missing_program", "its backend is 'none': nothing is run for it, so there is no session")
    if backend not in DOORS:
        raise NotStartedError(
            "missing_program",
            f"its backend {backend!r} has no session that could be opened; `queenpost agent tail` shows its turns",
        )
    if fork and backend == "gemini":
        raise NotStartedError("missing_program", "Gemini CLI cannot copy a session; leave --fork out")


def door_of(seat: Seat, session: Session, *, fork: bool) -> Door:
    """Give how the agent's program is started in this session; see `refuse`.

    Raises:
        NotStartedError: it cannot be.
    """
    return DOORS[seat.settings.backend](seat, session, fork=fork)
