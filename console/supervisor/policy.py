"""When a program that died is started again, and when that is given up. Pure: no clock, no processes."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a program may die before it counts as failed, and how long it waits in between."""

    restarts: int = 5
    within_s: float = 60.0
    first_wait_s: float = 0.25
    longest_wait_s: float = 5.0


@dataclass(slots=True)
class Restarts:
    """The deaths of one program that still count."""

    patience: Patience = field(default_factory=Patience)
    _deaths: deque[float] = field(default_factory=deque[float])

    def died(self, now_s: float) -> float | None:
        """Give the seconds to wait before the next start, None when it died too often."""
        while self._deaths and now_s - self._deaths[0] > self.patience.within_s:
            self._deaths.popleft()
        earlier = len(self._deaths)
        self._deaths.append(now_s)
        if earlier >= self.patience.restarts:
            return None
        return min(self.patience.first_wait_s * 2.0**earlier, self.patience.longest_wait_s)
