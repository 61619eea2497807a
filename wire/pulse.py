"""Signs of life on a connection to another machine, where an end may go unnoticed (DESIGN 4, Bounds).

A unix socket needs none: the kernel tells of its end. No task is started: one timer per connection.
"""

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from wire.transport import Alarm

PING_AFTER_S = 20.0
"""A client that has said or heard nothing for so long pings."""
DEAD_AFTER_S = 60.0
"""Who was not heard for so long is gone."""


class Line(Protocol):
    """What is listened to; see `wire.transport.Transport`."""

    heard_at: float
    said_at: float


class Pulse:
    """Watches one connection from `start` to `stop`."""

    def __init__(self, line: Line, *, ping: Callable[[], None] | None, dead: Callable[[], None]) -> None:
        self._line = line
        self._ping = ping
        """None: the other side does it."""
        self._dead = dead
        self._alarm = Alarm(self._beat)

    def start(self) -> None:
        """Watch from now on."""
        self._alarm.set(self._next(monotonic()))

    def stop(self) -> None:
        """Watch no longer; harmless when repeated."""
        self._alarm.stop()

    def _beat(self) -> None:
        now = monotonic()
        if now >= self._line.heard_at + DEAD_AFTER_S:
            self._dead()
            return
        if self._ping is not None and now >= self._quiet_since() + PING_AFTER_S:
            self._ping()
        self._alarm.set(self._next(now))

    def _quiet_since(self) -> float:
        # Both count: the broker needs to hear of us, and a request that is parked is no sign of life from there.
        return min(self._line.heard_at, self._line.said_at)

    def _next(self, now: float) -> float:
        end = self._line.heard_at + DEAD_AFTER_S
        if self._ping is None:
            return end
        due = self._quiet_since() + PING_AFTER_S
        return min(end, due if due > now else now + PING_AFTER_S)
