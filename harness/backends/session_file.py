"""`session.json`: which session of its own a program goes on with, across restarts of program and harness."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from wire.logs import get_logger
from wire.private_files import write_secret

log = get_logger("harness")

Overflowing = Literal["", "full", "asked", "asked_again", "shortened"]
"""How far it was dealt with that a history is too long: not so; found; the program asked to compact; done, unproven."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a program."""

    backend: str
    id: str
    cwd: str
    """Programs keep sessions by folder; in another one it is not looked for."""
    spent_usd: float = 0.0
    """What the program says that the whole session has cost so far."""
    spent_input_tokens: int = 0
    spent_output_tokens: int = 0
    """The same in tokens, of programs that count over the session."""
    allowed: tuple[str, ...] = ()
    """Rules that a person allowed for the whole session, in the program's own grammar."""
    overflow: Overflowing = ""
    """See `harness.backends.overflow`."""


def read(path: Path, backend: str, cwd: Path) -> Session | None:
    """Read the session of this backend in this folder; None where there is none, or a broken one."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        allowed = found.pop("allowed", [])
        session = Session(**found, allowed=tuple(str(rule) for rule in allowed))
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return session if session.backend == backend and session.cwd == str(cwd) and session.id else None


def write(path: Path, session: Session) -> None:
    """Keep the session, whole or not at all. Not keeping it costs the model its memory, never a turn."""
    try:
        write_secret(path, json.dumps(asdict(session)))
    except OSError as exc:
        log.warning("session_not_kept", reason=str(exc))


def forget(path: Path) -> None:
    """Begin anew with the next turn."""
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        log.warning("session_not_forgotten", reason=str(exc))
