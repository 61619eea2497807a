"""Reminders on the wire: mail to oneself at a later time, once or by cron.

Times of a cron line are civil times in a zone: one that a clock change skips fires at the first valid instant
after it, one that comes twice fires once.
"""

from typing import Annotated, Literal

from pydantic import Field

from wire.model import Mutation, Request, Result

MAX_PENDING = 50
"""Reminders of one agent that may wait at once."""
BURST = 20
PER_MINUTE = 10.0
"""Reminders that an agent may make in a row, and how fast it earns new ones."""
PER_TRANSACTION = 100
"""Firings in one commit, so that others get their turn between."""
MAX_ATTEMPTS = 5
"""Failed firings before a reminder is parked until somebody retries it."""
MAX_AHEAD_S = 10 * 366 * 24 * 3600

ReminderState = Literal["pending", "done", "cancelled", "parked"]

ReminderRef = Annotated[str, Field(min_length=1, max_length=64)]


class Reminder(Result):
    """One reminder as its owner and the operator see it."""

    id: str
    agent: str
    message: str
    state: ReminderState
    next_at_ms: int | None = None
    """When it fires next; None once it is over."""
    cron: str | None = None
    zone: str | None = None
    fired: int = 0
    attempts: int = 0
    """Failures in a row of the firing that is due."""
    reason: str | None = None
    made_at_ms: int
    broken: bool = False


class RemindersAdd(Mutation):
    """Set a reminder: exactly one of `delay_s`, `at` and `cron`.

    `at` is ISO 8601; without an offset it is civil time in `zone`. `cron` has five fields. `zone` is an IANA
    name, UTC if unset.
    """

    op: Literal["reminders.add"] = "reminders.add"
    message: Annotated[str, Field(min_length=1, max_length=1_000_000)]
    delay_s: Annotated[float | None, Field(ge=0, le=1e12)] = None
    at: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    cron: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    zone: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    agent: Annotated[str | None, Field(max_length=64)] = None
    """Operator only: whom to remind; unset, the operator itself."""


class RemindersAdded(Result):
    """The reminder is on disk."""

    id: str
    next_at_ms: int


class RemindersList(Request):
    """List reminders by their next firing. An agent: its own; the operator: all or one agent's."""

    op: Literal["reminders.list"] = "reminders.list"
    agent: Annotated[str | None, Field(max_length=64)] = None
    all: bool = False
    """False: only pending and parked ones."""
    after: Annotated[str | None, Field(max_length=64)] = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class RemindersListed(Result):
    """A page of reminders; `more` says whether the limit cut it."""

    reminders: list[Reminder]
    more: bool = False


class RemindersCancel(Mutation):
    """Take a reminder back; the operator may take any."""

    op: Literal["reminders.cancel"] = "reminders.cancel"
    reminder: ReminderRef


class RemindersRetry(Mutation):
    """Give a parked reminder a fresh budget; it fires at once if it is due."""

    op: Literal["reminders.retry"] = "reminders.retry"
    reminder: ReminderRef


class RemindersChanged(Result):
    """The reminder as it is now."""

    reminder: Reminder


class RemindersStats(Request):
    """Count what reminders delivered lately. An agent: its own; the operator: all or one agent's."""

    op: Literal["reminders.stats"] = "reminders.stats"
    agent: Annotated[str | None, Field(max_length=64)] = None
    since_ms: Annotated[int | None, Field(ge=0, le=2**53)] = None
    """Unset: the last 24 hours."""


class ReminderCounts(Result):
    """What one agent's reminders did."""

    agent: str
    delivered: int
    attempts: dict[str, int]
    """How many firings needed 1, 2, … attempts."""
    failed: int
    """Attempts that failed, of reminders that are pending or parked now."""


class RemindersCounted(Result):
    """One line an agent that has any."""

    since_ms: int
    agents: list[ReminderCounts]
