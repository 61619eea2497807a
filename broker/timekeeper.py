"""The broker's sense of time: does what is due, notices suspends and clocks that were set, raises alarms.

What is done at each instant is decided in `broker.services.wakeups`; this only knows when.
"""

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from broker.edge import valves
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.services import job_monitor, notices, retention, statistics, wakeups
from broker.services.callers import OPERATOR
from wire.errors import QueenpostError
from wire.fleet import Push
from wire.logs import get_logger

ROUND_S = 2.5
"""How often alarms, the clocks and the disk are looked at."""
REST_TIMES = 10
"""Between transactions that fire reminders, while more are due, so many times what the last one took: thousands that
are due at once must not slow the sends down."""
REST_MIN_S, REST_MAX_S = 0.05, 0.25
SUSPEND_MS = 5_000
CLOCK_STEP_MS = 2_000

log = get_logger("broker")


@dataclass(slots=True)
class Timekeeper:
    """One per broker; `run` is its only task."""

    office: Office
    hub: Hub
    due_ms: int | None = None
    changed: anyio.Event = field(default_factory=anyio.Event)
    asleep_ms: int | None = None
    """How long the machine had slept in all when it was looked at last."""
    sweep: retention.Sweep = field(init=False)
    harvest: statistics.Harvest = field(default_factory=statistics.Harvest)

    def __post_init__(self) -> None:
        self.sweep = retention.Sweep(self.office.clock.now_ms() + retention.FIRST_AFTER_MS)

    def on_due(self, due_ms: int | None) -> None:
        """Learn from the writer when something is due next. Later than before is no reason to wake up now."""
        sooner = due_ms is not None and (self.due_ms is None or due_ms < self.due_ms)
        self.due_ms = due_ms
        if sooner:
            self.changed.set()

    async def run(self) -> None:
        """Keep time until cancelled."""
        clock = self.office.clock
        next_round_ms = clock.now_ms()
        while True:
            if clock.now_ms() >= next_round_ms:
                await self._guarded(self.round)
                # Behind the round, which may set the clock.
                next_round_ms = clock.now_ms() + int(ROUND_S * 1000)
            if self.due_ms is not None and self.due_ms <= clock.now_ms():
                await self._guarded(self.do_what_is_due)
            await self._wait_until(min(next_round_ms, self.due_ms or next_round_ms))

    async def _guarded(self, step: Callable[[], Awaitable[None]]) -> None:
        """Outlive a step that fails: a full disk must not stop the clock."""
        try:
            await step()
        except QueenpostError as exc:
            log.error("timekeeper_failed", code=exc.code, reason=exc.message)
            await anyio.sleep(ROUND_S)

    async def _wait_until(self, instant_ms: int) -> None:
        self.changed = anyio.Event()
        with anyio.move_on_after(max(instant_ms - self.office.clock.now_ms(), 0) / 1000):
            await self.changed.wait()

    async def do_what_is_due(self) -> None:
        """Lapse leases, end back-offs, fire reminders; the commit also ends waits whose time is up."""
        self.due_ms = None  # the commit tells the next one
        started_s = anyio.current_time()
        if await self.office.writer.run(partial(wakeups.run_due, heard_for_ms=self.office.hears_for_ms())):
            took_s = anyio.current_time() - started_s
            await anyio.sleep(min(max(took_s * REST_TIMES, REST_MIN_S), REST_MAX_S))

    async def round(self) -> None:
        """Look at the clocks, the disk and at who does not wake."""
        await self._look_at_clocks()
        self._look_at_disk()
        await valves.follow_file(self.office)
        await self._look_at_agents()
        await self.office.writer.run(partial(job_monitor.reconcile, heard_for_ms=self.office.hears_for_ms()))
        await self._forget()
        await self._count_turns()

    async def _look_at_clocks(self) -> None:
        clock, office = self.office.clock, self.office
        asleep_ms = clock.now_ms() - clock.awake_ms()
        if self.asleep_ms is not None and asleep_ms - self.asleep_ms > SUSPEND_MS:
            log.warning("machine_was_suspended", seconds=(asleep_ms - self.asleep_ms) // 1000)
            office.watch.restart()
            await office.writer.run(wakeups.rearm)
        if abs(clock.wall_ms() - clock.now_ms()) > CLOCK_STEP_MS:
            # Not inside the command, which may be run again. What commits in between sees the new time and old
            # leases, and nobody but this task lets leases lapse.
            step_ms = clock.re_anchor()
            log.warning("clock_was_set", step_s=step_ms // 1000)
            office.watch.restart()
            await office.writer.run(partial(wakeups.clock_was_set, step_ms=step_ms))
        self.asleep_ms = clock.now_ms() - clock.awake_ms()

    def _look_at_disk(self) -> None:
        try:
            free = shutil.disk_usage(self.office.home.root).free
        except OSError as exc:
            log.warning("disk_unknown", error=str(exc))
            return
        was_low = self.office.rules.disk_is_low
        self.office.rules = replace(self.office.rules, disk_free_bytes=free)
        if self.office.rules.disk_is_low and not was_low:
            log.error("disk_nearly_full", free_bytes=free)

    async def _look_at_agents(self) -> None:
        rows = await self.office.writer.run(wakeups.stalled)
        now_ms = self.office.clock.now_ms()
        waits = self.office.parked_opens.agents() | self.office.reports.resting()
        wake, deaf = self.office.watch.observe(rows, now_ms, waits)
        for agent in wake:
            log.warning("wake_stalled", agent=agent)
            self.hub.announce(Push(event="wake_stalled", agent=agent))
        for agent in deaf:
            log.error("agent_is_deaf", agent=agent)
            text = f"{agent} has mail, but no harness works for it since a minute. Start it with `queenpost up`."
            await self.office.writer.run(partial(notices.tell, recipient=OPERATOR, text=text, cause=f"deaf:{agent}"))

    async def _forget(self) -> None:
        """Delete some of what has been kept long enough; the rest in later rounds."""
        now_ms, settings = self.office.clock.now_ms(), self.office.rules.retention
        for _ in range(retention.PER_ROUND):
            step = self.sweep.step(now_ms, settings)
            if step is None:
                return
            if not await self.office.writer.run(step):
                self.sweep.done(step)

    async def _count_turns(self) -> None:
        """Make the figures of turns that ended; the rest in later rounds."""
        if self.harvest.is_due(self.office.clock.now_ms()):
            self.harvest.more = await statistics.harvest_some(self.office.writer.run, statistics.PER_ROUND)
