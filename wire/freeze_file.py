"""`run/frozen` in a home: who is frozen. Written by the command line and the broker, read by them and the harness.

A file, because it works where a broker hangs or is gone. It fails safe: whatever cannot be read, an empty file
among it, counts as everybody frozen. It does not stop anybody; who reads it does.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from wire.errors import Conflict, Full, Unavailable
from wire.private_files import FILE_MODE, sync_folder, write_secret

MAX_BYTES = 1024 * 1024
LOCK_S = 1.0
"""How long another writer is waited for; one that hangs does not keep a freeze from happening."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Frozen:
    """Who is frozen."""

    everybody: bool = False
    """Agents that come later too."""
    agents: frozenset[str] = frozenset()
    damage: str | None = None
    """Why the file cannot be read; then it counts as everybody."""

    def holds(self, agent: str) -> bool:
        """Say whether an agent is frozen."""
        return self.everybody or agent in self.agents

    def and_also(self, names: Iterable[str]) -> "Frozen":
        """Freeze these too; none: everybody."""
        added = frozenset(names)
        return replace(self, everybody=self.everybody or not added, agents=self.agents | added, damage=None)

    def without(self, names: Iterable[str]) -> "Frozen":
        """Thaw these; none: everybody.

        Raises:
            Conflict: everybody is frozen, and a file has no room for exceptions.
        """
        thawed = frozenset(names)
        if not thawed:
            return Frozen()
        if self.everybody:
            why = f" ({self.damage})" if self.damage else ""
            raise Conflict(
                f"everybody is frozen{why}, not just {', '.join(sorted(thawed))}: "
                "`queenpost thaw` without names thaws all, then freeze again whom you want frozen"
            )
        return replace(self, agents=self.agents - thawed)


NOBODY = Frozen()


def read_frozen(path: Path) -> Frozen:
    """Read who is frozen; a file that is missing freezes nobody, one that cannot be read everybody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return NOBODY
    except OSError as exc:
        return _damaged(path, exc.strerror or str(exc))
    try:
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(MAX_BYTES)
        return _frozen(json.loads(data)) if data.strip() else _damaged(path, "it is empty")
    except OSError as exc:
        return _damaged(path, exc.strerror or str(exc))
    except (ValueError, RecursionError) as exc:
        return _damaged(path, str(exc) or type(exc).__name__)


def _frozen(value: Any) -> Frozen:
    """Take the file apart.

    Raises:
        ValueError: it does not say who is frozen.
    """
    if not isinstance(value, dict):
        raise ValueError("it holds no object")
    fields = cast("dict[str, object]", value)
    everybody, agents = fields.get("everybody"), fields.get("agents")
    if not isinstance(everybody, bool) or not isinstance(agents, list):
        raise ValueError('it does not say "everybody" and "agents"')
    names = cast("list[object]", agents)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("an agent in it is no name")
    return Frozen(everybody, frozenset(cast("list[str]", names)))


def _damaged(path: Path, why: str) -> Frozen:
    return Frozen(everybody=True, damage=f"{path} cannot be read: {why}")


def change_frozen(path: Path, change: Callable[[Frozen], Frozen]) -> tuple[Frozen, Frozen]:
    """Change who is frozen, whole or not at all; durable once this returns. Gives what was and what is.

    Raises:
        Full, Unavailable: the file could not be written; it is as it was.
        What `change` raises: the file is as it was.
    """
    try:
        with _one_at_a_time(path):
            before = read_frozen(path)
            after = change(before)
            if after != before:
                _write(path, after)
    except OSError as exc:
        told = f"cannot write {path}: {exc.strerror}"
        if exc.errno in _NO_ROOM:
            raise Full(f"{told}; `touch` it to freeze everybody, then free some space") from exc
        raise Unavailable(f"{told}; work as the owner of the home, and check its disk") from exc
    return before, after


def _write(path: Path, frozen: Frozen) -> None:
    if frozen == NOBODY:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
        return
    write_secret(path, json.dumps({"everybody": frozen.everybody, "agents": sorted(frozen.agents)}))


@contextmanager
def _one_at_a_time(path: Path) -> Generator[None]:
    """Keep writers apart, so that none undoes what another one just froze."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        until = time.monotonic() + LOCK_S
        while not _locked(descriptor) and time.monotonic() < until:
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    with suppress(OSError):  # held by another writer, or a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
