"""Whether the client of an HTTP server is still there. HTTP has no end to notice, so silence has to tell (DESIGN 5.4).

It decides nothing: `mcp_tools.attended` gives the agent up.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from wire.clock import Clock

SILENT_MS = 30 * 60_000
"""After so much silence nobody is taken to be there any more. The sleep of a machine is not silence."""


class Presence:
    """The last sign of life of one client: a tool call that runs or ended, or a file that its hooks touch."""

    def __init__(self, clock: Clock, touched: Path) -> None:
        self._clock = clock
        self._touched = touched
        self._running = 0
        self._touched_at = self._last_touch()
        self._heard_ms = clock.awake_ms()

    @contextmanager
    def call(self) -> Generator[None]:
        """Hold this while a tool call runs: a client that waits for mail is there."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._heard_ms = self._clock.awake_ms()

    @property
    def is_over(self) -> bool:
        """Say whether the client has been silent for too long."""
        touch = self._last_touch()
        if touch != self._touched_at:
            self._touched_at, self._heard_ms = touch, self._clock.awake_ms()
        return not self._running and self._clock.awake_ms() - self._heard_ms >= SILENT_MS

    def _last_touch(self) -> int | None:
        try:
            return self._touched.stat().st_mtime_ns
        except OSError:
            return None
