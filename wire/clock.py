"""Time, so that it can be injected. Instants are integer milliseconds since 1970 in UTC.

The fleet's instants come from a steady clock that is anchored at the wall clock: they never jump while the
broker runs. What a wall clock that was set does to leases is decided in `broker.services.clockwork`.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What the broker and the harness ask of time."""

    def now_ms(self) -> int:
        """Give the steady instant: wall time at the anchor plus what has elapsed, suspend included."""
        ...

    def wall_ms(self) -> int:
        """Give what the wall clock says, which may have been set."""
        ...

    def awake_ms(self) -> int:
        """Count only the time in which the machine was awake; a difference to `now_ms` is a suspend."""
        ...

    def re_anchor(self) -> int:
        """Set the anchor to the wall clock again and return the step in milliseconds."""
        ...


def _boot_ns() -> int:
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    if boottime is None:  # macOS: its monotonic clock runs on through sleep
        return time.monotonic_ns()
    return time.clock_gettime_ns(boottime)


class SystemClock:
    """The clocks of this machine."""

    def __init__(self) -> None:
        self._anchor_ns = time.time_ns() - _boot_ns()

    def now_ms(self) -> int:
        """See `Clock`."""
        return (self._anchor_ns + _boot_ns()) // 1_000_000

    def wall_ms(self) -> int:
        """See `Clock`."""
        return time.time_ns() // 1_000_000

    def awake_ms(self) -> int:
        """See `Clock`."""
        return time.monotonic_ns() // 1_000_000

    def re_anchor(self) -> int:
        """See `Clock`."""
        before = self.now_ms()
        self._anchor_ns = time.time_ns() - _boot_ns()
        return self.now_ms() - before


class FakeClock:
    """A clock that a test moves by hand; ships with the product so that simulations can use it too."""

    def __init__(self, start_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = start_ms
        self._awake_ms = start_ms
        self._step_ms = 0

    def advance(self, milliseconds: int, *, suspended: bool = False) -> None:
        """Let time pass; a suspended machine does not notice it on its monotonic clock."""
        self._now_ms += milliseconds
        if not suspended:
            self._awake_ms += milliseconds

    def step_wall(self, milliseconds: int) -> None:
        """Set the wall clock, as NTP or a person would."""
        self._step_ms += milliseconds

    def now_ms(self) -> int:
        """See `Clock`."""
        return self._now_ms

    def wall_ms(self) -> int:
        """See `Clock`."""
        return self._now_ms + self._step_ms

    def awake_ms(self) -> int:
        """See `Clock`."""
        return self._awake_ms

    def re_anchor(self) -> int:
        """See `Clock`."""
        step, self._step_ms = self._step_ms, 0
        self._now_ms += step
        return step
