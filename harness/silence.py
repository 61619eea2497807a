"""How long a turn may go on without a word: told to finish, then interrupted, at last killed (DESIGN 5.6)."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager

import anyio

TOLD_AT, INTERRUPTED_AT, KILLED_AT = 0.8, 0.95, 1.0
"""Fractions of the allowed silence."""

Step = tuple[float, Callable[[], Awaitable[None]]]


class Silence:
    """Since when nothing was heard."""

    def __init__(self, limit_s: float, now: Callable[[], float] = anyio.current_time) -> None:
        self.limit_s = limit_s
        self._now = now
        self._heard_at = now()
        self._held = 0

    def heard(self) -> None:
        """Something came: the clock starts anew."""
        self._heard_at = self._now()

    @contextmanager
    def held(self) -> Generator[None]:
        """Let the clock stand still: somebody else is waited for."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self.heard()

    def left_s(self, fraction: float) -> float:
        """Give how long until the silence is this fraction of what is allowed."""
        silent_s = 0.0 if self._held else self._now() - self._heard_at
        return fraction * self.limit_s - silent_s

    async def watch(self, steps: Sequence[Step]) -> None:
        """Do each step when the silence has grown to its fraction; a word in between begins anew."""
        done, since = 0, self._heard_at
        while done < len(steps):
            if since != self._heard_at:
                done, since = 0, self._heard_at
            fraction, act = steps[done]
            left_s = self.left_s(fraction)
            if left_s > 0:
                await anyio.sleep(left_s)
            elif since == self._heard_at:
                await act()
                done += 1
