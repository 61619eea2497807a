"""The broker itself on the wire: freeze and thaw, backup, figures, a probe."""

from typing import Annotated, Literal

from pydantic import Field

from wire.model import Mutation, Request, Result

Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=1000)]


class FleetFreeze(Mutation):
    """Stop agents at once: running turns end and give their mail back uncounted, no turn opens, no send passes."""

    op: Literal["fleet.freeze"] = "fleet.freeze"
    agents: Names = []
    """Empty: all of them, later ones too."""


class FleetThaw(Mutation):
    """End a freeze, of these agents or of all."""

    op: Literal["fleet.thaw"] = "fleet.thaw"
    agents: Names = []


class FleetFrozen(Result):
    """Who is frozen now."""

    everybody: bool
    agents: list[str]
    changed: list[str] = Field(default_factory=list[str])


class FleetBackup(Mutation):
    """Write a consistent copy of the database, while everything goes on."""

    op: Literal["fleet.backup"] = "fleet.backup"
    path: Annotated[str | None, Field(max_length=4096)] = None
    """An absolute path that does not exist yet; unset: into the home's `backups/`."""


class FleetBackedUp(Result):
    """The copy was checked and is on disk."""

    path: str
    bytes: int


class FleetStats(Request):
    """Count what the broker did."""

    op: Literal["fleet.stats"] = "fleet.stats"
    since_ms: Annotated[int | None, Field(ge=0, le=2**53)] = None
    """Unset: the last 24 hours."""


class FleetFigures(Result):
    """Counts since an instant, unless they say otherwise."""

    since_ms: int
    messages: dict[str, int]
    """Accepted, by kind."""
    deliveries: dict[str, int]
    """All there are, by state."""
    turns: dict[str, int]
    """Ended, by outcome."""
    turn_ms_p50: int | None = None
    turn_ms_p95: int | None = None
    asks: dict[str, int]
    """Ended or made since then, by state; `open`: all there are."""
    reminders_delivered: int
    jobs: dict[str, int] = {}
    """Ended since then, by state; `pending` and `running`: all there are."""
    events: dict[str, int] = {}
    """Recorded of jobs since then, by what was made of them; `refused`: of what was refused since then, all of it."""
    refused: dict[str, int]
    """Since the broker started, by code."""
    connections: int
    database_bytes: int
    wal_bytes: int
    started_at_ms: int


class FleetProbe(Request):
    """Make one durable write and one real wake, and say how long they took."""

    op: Literal["fleet.probe"] = "fleet.probe"


class FleetProbed(Result):
    """Milliseconds of the commit, and from there to the waiter that it woke; what the store runs on."""

    commit_ms: float
    wake_ms: float
    sqlite: str
    journal_mode: str
    file_system: str
    disk_free_bytes: int | None = None
    clock_step_ms: int
    """How far the wall clock is from the broker's own."""
    quick_check: str
    socket: str
    pid: int
    version: str
    python: str
