"""How often a session is told of the same mail: at once, then after growing gaps, then no more. Wakes nobody itself."""

from dataclasses import dataclass

GAPS_S = (60.0, 600.0, 3600.0)
"""Between one time and the next. A model that has left mail lying four times is not asked a fifth: each time costs."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for an agent."""

    count: int
    oldest: str | None = None


NOTHING = Waiting(0)


class Insisting:
    """What one session was told, and when. In memory: another session is told anew."""

    def __init__(self) -> None:
        self._known = NOTHING
        self._times = 0
        self._told_at_ms = 0

    def due_in_s(self, seen: Waiting, now_ms: int) -> float | None:
        """Say in how many seconds to tell of what waits: 0 is now, None not before something else waits."""
        if self._is_new(seen):
            return 0.0 if seen.count else None
        self._known = seen
        if self._times > len(GAPS_S):
            return None
        return max(GAPS_S[self._times - 1] - (now_ms - self._told_at_ms) / 1000, 0.0)

    def told(self, seen: Waiting, now_ms: int) -> None:
        """Note that the session was told of this."""
        self._times = 1 if self._is_new(seen) else self._times + 1
        self._known = seen
        self._told_at_ms = now_ms

    def forget(self) -> None:
        """Begin anew: the session that was told is not the one that goes on."""
        self._known, self._times = NOTHING, 0

    def _is_new(self, seen: Waiting) -> bool:
        """Say whether there is mail that nobody was told of. Less than before is what is left of it."""
        if not seen.count:
            self.forget()
        known = self._known
        return not self._times or seen.count > known.count or (seen.count == known.count and seen != known)
