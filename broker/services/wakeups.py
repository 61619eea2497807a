"""Time's part: leases that run out, back-offs that end, alarms when nobody wakes for mail (DESIGN 5.8, 5.11)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from broker.services import (
    ask_ends,
    budgets,
    firings,
    job_monitor,
    leasing,
    notices,
    restarts,
    settling,
    storms,
)
from broker.services.policy import settings_of
from broker.store.tx import Row, Tx
from wire.reminders import PER_TRANSACTION

STALLED_AFTER_MS = 5_000
DEAF_AFTER_MS = 60_000
LONGEST_BACKOFF_MS = 600_000


def start(tx: Tx) -> None:
    """Open the post office after a start: count the boot, give every open turn one fresh lease to be resumed in."""
    tx.run("fleet.start", now=tx.now_ms)
    tx.run("agents.add_operator", now=tx.now_ms)
    tx.run("agents.lose_all", now=tx.now_ms)
    tx.run("agents.clamp_clock", now=tx.now_ms)
    rearm(tx)
    tx.run("turns.clamp_backoff", latest=tx.now_ms + LONGEST_BACKOFF_MS)
    ask_ends.clamp_clock(tx)
    notices.start(tx)
    storms.clock_was_set(tx)
    budgets.clock_was_set(tx)
    firings.start(tx)
    job_monitor.start(tx)
    restarts.start(tx)


def rearm(tx: Tx) -> None:
    """Give every lease one fresh period: after a start, a suspend, or a clock that was set."""
    tx.run("turns.rearm", lease_until=leasing.lease_until(tx))
    tx.revise_due()


def clock_was_set(tx: Tx, step_ms: int) -> None:
    """Keep back-offs, buckets and holders' minutes as long as they were, start leases anew."""
    tx.run("turns.shift_backoff", step=step_ms, latest=tx.now_ms + LONGEST_BACKOFF_MS)
    tx.run("agents.shift_clock", step=step_ms, now=tx.now_ms)
    ask_ends.shift_clock(tx, step_ms)
    notices.clock_was_set(tx, step_ms)
    storms.clock_was_set(tx)
    budgets.clock_was_set(tx)
    firings.clock_was_set(tx, step_ms)
    job_monitor.clock_was_set(tx, step_ms)
    restarts.clock_was_set(tx, step_ms)
    rearm(tx)


def next_due(tx: Tx) -> int | None:
    """Give the earliest instant at which `run_due` has something to do."""
    row = tx.one("turns.next_due")
    return row["due"] if row else None


def run_due(tx: Tx, heard_for_ms: int = job_monitor.HEARING_MS) -> bool:
    """Do what is due: lapse turns whose lease ran out, end back-offs, fire reminders. Harmless when nothing is.

    `heard_for_ms`: for how long events of jobs have been heard; without them nobody is called silent.
    True: more reminders are due than one transaction fires.
    """
    for row in tx.all("turns.expired", now=tx.now_ms):
        settling.lapse(tx, row["agent"], row["id"], attended=bool(row["attended"]))
    rested = tx.all("turns.rested", now=tx.now_ms)
    if rested:
        tx.run("turns.end_backoff", now=tx.now_ms)
    for row in rested:
        tx.woke(row["recipient"])
    ask_ends.expire_due(tx)
    budgets.begin_days(tx)
    job_monitor.mark_overdue(tx, heard_for_ms)
    notices.flush_due(tx)
    restarts.go_on_if_due(tx)
    fired = firings.fire_due(tx)
    tx.revise_due()
    return fired >= PER_TRANSACTION


@dataclass(slots=True)
class Watch:
    """Remembers since when agents do not wake for their mail. In memory: a restart gives everybody a fresh period."""

    stalled_since: dict[str, int] = field(default_factory=dict[str, int])
    deaf_since: dict[str, int] = field(default_factory=dict[str, int])
    told: set[str] = field(default_factory=set[str])

    def observe(self, rows: Iterable[Row], now_ms: int, parked: Collection[str]) -> tuple[list[str], list[str]]:
        """Take what `agents.stalled` shows now; give (agents to wake anew, agents that became deaf)."""
        stalled: set[str] = set()
        deaf: set[str] = set()
        for row in rows:
            attached = row["instance"] is not None and row["lost_at"] is None
            if attached and not row["attended"] and row["name"] not in parked:
                stalled.add(row["name"])
            elif not attached and settings_of(row["settings"]).backend != "none":
                deaf.add(row["name"])
        self.told &= deaf
        wake = _ripe(self.stalled_since, stalled, now_ms, STALLED_AFTER_MS)
        for name in wake:  # asked again only after another full period
            self.stalled_since[name] = now_ms
        alarm = [n for n in _ripe(self.deaf_since, deaf, now_ms, DEAF_AFTER_MS) if n not in self.told]
        self.told.update(alarm)
        return wake, alarm

    def is_deaf(self, agent: str) -> bool:
        """Say whether the alarm for this agent was raised and still holds."""
        return agent in self.told

    def restart(self) -> None:
        """Give every alarm one fresh period, after a suspend."""
        self.stalled_since.clear()
        self.deaf_since.clear()


def _ripe(since: dict[str, int], now_true: set[str], now_ms: int, after_ms: int) -> list[str]:
    for gone in since.keys() - now_true:
        del since[gone]
    for name in now_true:
        since[name] = min(since.get(name, now_ms), now_ms)  # the clock may have been set back
    return sorted(name for name in now_true if now_ms - since[name] >= after_ms)


def stalled(tx: Tx) -> list[Row]:
    """Agents with ready mail and no open turn."""
    return tx.all("agents.stalled", now=tx.now_ms)
