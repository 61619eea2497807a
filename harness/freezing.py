"""Who is frozen, as the home's `run/frozen` says: looked at by the harness itself, so that it works with a hung broker.

It stops nothing: the turn loop asks whether it may begin a turn, and is told when its agent is frozen.
"""

import os
from collections.abc import Callable
from pathlib import Path

import anyio

from wire.freeze_file import NOBODY, read_frozen
from wire.logs import get_logger

LOOK_EVERY_S = 0.5
"""With the grace of a program, well within the 2 s that a freeze promises."""

log = get_logger("harness")

_Mark = tuple[int, int, int] | int | None


class Freezing:
    """One per harness process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: _Mark = None
        """What the file looked like when it was read last; None: it was not there."""
        self._frozen = NOBODY
        self._changed = anyio.Event()
        """Set and replaced when somebody may be frozen or thawed."""

    def holds(self, agent: str) -> bool:
        """Say whether an agent is frozen, as of now."""
        self.look()
        return self._frozen.holds(agent)

    async def thawed(self, agent: str) -> None:
        """Wait until an agent is not frozen."""
        while self.holds(agent):
            await self._changed.wait()

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Look again and again until cancelled; tell of every change."""
        frozen = NOBODY
        while True:
            self.look()
            if self._frozen != frozen:
                frozen = self._frozen
                log.warning("freeze_changed", everybody=frozen.everybody, agents=sorted(frozen.agents))
                on_change()
            await anyio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Read the file if it is another one than before."""
        mark = _mark_of(self._path)
        if mark == self._mark and self._frozen.damage is None:
            return
        before, self._mark = self._frozen, mark
        self._frozen = read_frozen(self._path)
        if self._frozen.damage is not None and before.damage is None:
            log.error("freeze_file_damaged", reason=self._frozen.damage)
        if self._frozen != before:
            self._changed.set()
            self._changed = anyio.Event()


def _mark_of(path: Path) -> _Mark:
    """Tell one state of the file from another, without opening it."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        return exc.errno or -1
    return status.st_ino, status.st_mtime_ns, status.st_size
