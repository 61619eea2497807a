"""How many programs stay between their turns: the one that was used least recently goes first, and is resumed later.

It counts programs and ends idle ones. What a program is, and how it goes on with its session, its backend knows.
"""

import os
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from wire.logs import get_logger

PROGRAM_BYTES = 400_000_000
"""What one program is reckoned with where nothing else is said; Claude Code takes 260 MB, and grows."""
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Of a container: less than what the machine has."""

log = get_logger("harness")


def memory_bytes() -> int | None:
    """Give the memory that this machine has, or this container may use; None where nobody says."""
    found: list[int] = []
    with suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # "max" is no number: there is no limit
        found.append(int(CGROUP_LIMIT.read_text(encoding="ascii")))
    return min((size for size in found if size > 0), default=None)


def usual_most() -> int | None:
    """Give how many programs this machine has room for; None: nobody knows its memory."""
    memory = memory_bytes()
    return None if memory is None else max(memory // PROGRAM_BYTES, 1)


class Place:
    """One agent's place among the programs that stay."""

    def __init__(self, warmth: "Warmth", agent: str, account: str = "", most: int | None = None) -> None:
        self.agent = agent
        self.account = account
        self.most = most
        """How many of its account may stay; None: see `Warmth`."""
        self.in_turn = False
        """It is not ended now, however long it was there."""
        self.reap: Callable[[], None] | None = None
        """Ends the program; None: none runs."""
        self._warmth = warmth

    def started(self, reap: Callable[[], None]) -> None:
        """Count a program in. Others, which are idle, may have to go for it."""
        self.reap = reap
        self._warmth.used(self)

    def ended(self, reap: Callable[[], None]) -> None:
        """Count it out, whoever ended it; a newer one stays counted."""
        if self.reap is reap:
            self.reap = None
            self._warmth.forget(self)

    @contextmanager
    def turn(self) -> Generator[None]:
        """Keep the program that runs, or will run, for as long as the turn does."""
        self.in_turn = True
        try:
            yield
        finally:
            self.in_turn = False
            self._warmth.used(self)


class Warmth:
    """All programs of this harness that outlive their turns.

    An account that says how many of its may stay is counted by itself; `most` is for all others together, None: any
    number.
    """

    def __init__(self, most: int | None) -> None:
        self.most = most
        self._running: dict[Place, None] = {}
        """Those whose program runs; the one that was used last is the last."""

    def used(self, place: Place) -> None:
        """The program of a place was started, or its turn has ended: it is the newest, and others may have to go."""
        self._running.pop(place, None)
        if place.reap is not None:
            self._running[place] = None
        self._trim()

    def forget(self, place: Place) -> None:
        """Its program runs no more."""
        self._running.pop(place, None)

    def _trim(self) -> None:
        counts = Counter(_pool(place) for place in self._running)
        for place in list(self._running):
            most = self.most if place.most is None else place.most
            if most is not None and counts[_pool(place)] > most and not place.in_turn:
                counts[_pool(place)] -= 1
                self._reap(place, most, counts[_pool(place)])

    def _reap(self, place: Place, most: int, left: int) -> None:
        reap, place.reap = place.reap, None
        del self._running[place]
        log.info("program_reaped", agent=place.agent, account=place.account, max_warm=most, warm=left)
        if reap is not None:
            reap()


def _pool(place: Place) -> str | None:
    """Say with whom it shares the room; None: with all whose account says nothing of it."""
    return None if place.most is None else place.account


def unbounded() -> Place:
    """Give a place that nobody has to make room for."""
    return Place(Warmth(None), "")
