"""`turn.json`: which program runs now, and for whom. For the console, and for whoever comes after a crash."""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from harness.processes import identity
from harness.workspace import Workspace
from wire.logs import get_logger

log = get_logger("harness")


@dataclass(frozen=True, slots=True)
class TurnFile:
    """What stands in it."""

    agent: str
    turn: str
    mail: list[str]
    pid: int
    """The leader of the program's process group."""
    process: str | None
    """`harness.processes.identity` of that pid."""
    started_at_ms: int
    harness_pid: int
    harness: str | None
    """The identity of the harness that watches over it."""


@contextmanager
def noted(workspace: Workspace, turn: str, mail: list[str], pid: int, now_ms: int) -> Generator[None]:
    """Keep the file for as long as the program runs. Not having it never fails a turn."""
    path = workspace.turn_file
    note = TurnFile(workspace.agent, turn, mail, pid, identity(pid), now_ms, os.getpid(), identity(os.getpid()))
    try:
        write(path, note)
    except OSError as exc:
        log.warning("turn_file_not_written", reason=str(exc))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def write(path: Path, note: TurnFile) -> None:
    """Write the file, whole or not at all; readable by its owner only."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(note), file)
    temporary.replace(path)


def read(path: Path) -> TurnFile | None:
    """Read the file; None where there is none, or a broken one."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return TurnFile(**{field.name: data[field.name] for field in fields(TurnFile)})
    except (OSError, ValueError, TypeError, KeyError):
        return None
