"""When a program that keeps crashing is left alone for a while: nothing is respawned against a wall."""

from collections import deque
from collections.abc import Callable

import anyio

CRASHES = 5
WITHIN_S = 60.0


class Crashes:
    """The crashes of one agent's program, up to the last turn that was finished."""

    def __init__(self, now: Callable[[], float] = anyio.current_time) -> None:
        self._now = now
        self._at: deque[float] = deque(maxlen=CRASHES)

    def note(self) -> bool:
        """Note one; True if it makes a loop of them, which is then counted anew."""
        self._at.append(self._now())
        looping = len(self._at) == CRASHES and self._at[-1] - self._at[0] <= WITHIN_S
        if looping:
            self._at.clear()
        return looping

    def clear(self) -> None:
        """Forget them: a turn was finished."""
        self._at.clear()
