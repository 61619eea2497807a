"""Reminders on paper (DESIGN 5, Reminders). Each act gives its answer in the words of `answers`, or refuses."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from broker.services.callers import Caller
from tests.model.paper import Agent, Letter, Paper, refuse
from tests.model.paper_acts import Answer
from tests.model.paper_calendar import EPOCH, LINES, MILLISECOND, ZONES, come_by, first_after, instant_of
from wire.escaping import rendered_bytes
from wire.reminders import BURST, MAX_AHEAD_S, MAX_ATTEMPTS, MAX_PENDING, PER_MINUTE, PER_TRANSACTION
from wire.turns import backoff_ms

WAITING = ("pending", "parked")


class Wish(NamedTuple):
    """What somebody wants to be reminded of, and when."""

    message: str
    delay_s: float | None = None
    at: str | None = None
    cron: str | None = None
    zone: str | None = None
    agent: str | None = None


@dataclass(eq=False, slots=True)
class Reminder:
    """Mail at a later time."""

    id: int
    agent: Agent
    body: str
    cron: str | None
    zone: str | None
    elapsed: bool
    """Set by a delay: a clock that is set does not change how long it still takes."""
    nominal: int
    due: int | None
    made_by: str
    made: int
    state: str = "pending"
    attempts: int = 0
    ended: int | None = None
    fired: dict[int, "Firing"] = field(default_factory=dict[int, "Firing"])
    """By nominal time."""
    damaged: bool = False
    gone: bool = False
    """Retention deleted it."""

    @property
    def name(self) -> str:
        """Its id, as agents see it."""
        return f"r{self.id}"

    @property
    def shown(self) -> Answer:
        """What its owner is told of it."""
        at = {"pending": self.due, "parked": self.nominal}.get(self.state)
        return ("reminder", self.name, self.state, at, len(self.fired), self.attempts)


@dataclass(eq=False, slots=True)
class Firing:
    """One occurrence that became mail."""

    letter: Letter
    missed: int
    attempts: int
    at: int


# --- what people do ---------------------------------------------------------------------------------


def add(paper: Paper, caller: Caller, wish: Wish) -> Answer:
    """For oneself; the operator for anybody, and without limit."""
    by_agent = caller.kind == "agent"
    if len(wish.message.encode()) > paper.rules.limits.body_bytes:
        refuse("invalid")
    if by_agent and wish.agent not in (None, caller.name):
        refuse("denied")
    agent = paper.present(wish.agent or caller.name)
    if agent is None:
        refuse("unknown")
    if by_agent and paper.is_frozen(agent):
        refuse("denied")
    nominal = _first(wish, paper.now)
    if by_agent:
        _pay(paper, agent)
    zone = (wish.zone or "UTC") if wish.cron is not None else wish.zone
    cron = None if wish.cron is None else " ".join(wish.cron.split())
    made = Reminder(
        len(paper.reminders) + 1, agent, wish.message, cron, zone, wish.delay_s is not None, nominal, nominal,
        caller.name, paper.now,
    )  # fmt: skip
    paper.reminders.append(made)
    if not by_agent:
        paper.audit.append(("reminder.set", made.name))
    return ("set", made.name, nominal)


def _pay(paper: Paper, agent: Agent) -> None:
    if paper.rules.disk_is_low:
        refuse("full")
    if sum(one.agent is agent and one.state in WAITING for one in paper.reminders) >= MAX_PENDING:
        refuse("limited")
    tokens = float(BURST)
    if agent.reminder_bucket_at:
        elapsed = max(paper.now - agent.reminder_bucket_at, 0)
        tokens = min(tokens, agent.reminder_bucket + elapsed * PER_MINUTE / 60_000)
    if tokens < 1.0:
        refuse("limited")
    agent.reminder_bucket, agent.reminder_bucket_at = tokens - 1.0, paper.now


def _first(wish: Wish, now: int) -> int:
    """When it fires first."""
    if [wish.delay_s, wish.at, wish.cron].count(None) != 2 or (wish.delay_s is not None and wish.zone is not None):
        refuse("invalid")
    if wish.zone is not None and wish.zone not in ZONES:
        refuse("invalid")
    if wish.cron is not None:
        cron = " ".join(wish.cron.split())
        if cron not in LINES:
            refuse("invalid")
        return first_after(cron, wish.zone or "UTC", now)
    at = now + int((wish.delay_s or 0) * 1000) if wish.at is None else _read(wish.at, wish.zone or "UTC")
    if not now <= at <= now + MAX_AHEAD_S * 1000:
        refuse("invalid")
    return at


def _read(text: str, zone: str) -> int:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        refuse("invalid")
    return instant_of(read, zone) if read.tzinfo is None else (read - EPOCH) // MILLISECOND


def _mine(paper: Paper, caller: Caller, name: str) -> Reminder:
    digits = name[1:]
    number = int(digits) if name[:1] == "r" and digits.isdecimal() and digits[0] != "0" else 0
    found = paper.reminders[number - 1] if 0 < number <= len(paper.reminders) else None
    if found is None or found.gone or (caller.kind == "agent" and found.agent.name != caller.name):
        refuse("unknown")
    return found


def cancel(paper: Paper, caller: Caller, name: str) -> Answer:
    """Owner and operator; what is over stays as it is."""
    found = _mine(paper, caller, name)
    if found.state not in WAITING:
        refuse("closed")
    found.state, found.due, found.ended = "cancelled", None, paper.now
    if caller.kind != "agent":
        paper.audit.append(("reminder.cancelled", name))
    return found.shown


def cancel_of(paper: Paper, agent: str) -> None:
    """All that waits for an agent that was removed."""
    for one in paper.reminders:
        if one.agent.name == agent and one.state in WAITING:
            one.state, one.due, one.ended = "cancelled", None, paper.now


def retry(paper: Paper, caller: Caller, name: str) -> Answer:
    """A parked one gets a fresh budget."""
    found = _mine(paper, caller, name)
    if found.state != "parked":
        refuse("conflict")
    found.state, found.due, found.attempts = "pending", found.nominal, 0
    if caller.kind != "agent":
        paper.audit.append(("reminder.retried", name))
    return found.shown


# --- time -------------------------------------------------------------------------------------------


def fire(paper: Paper) -> Answer:
    """What is due, so many at a time, the longest due first. What cannot fire keeps no other waiting."""
    late = [one for one in paper.reminders if one.due is not None and one.due <= paper.now]
    late = sorted(late, key=lambda one: (one.due or 0, one.id))[:PER_TRANSACTION]
    for one in late:
        if not one.damaged:
            _fire(paper, one)
    for one in late:
        if one.damaged:
            _fail(paper, one)
    return ("more is due",) if len(late) == PER_TRANSACTION else None


def _fire(paper: Paper, one: Reminder) -> None:
    """Occurrences that were missed are one letter, of the latest; an inbox is never too full for it."""
    come, following = [one.nominal], None
    if one.cron is not None and one.zone is not None:
        come = come_by(one.cron, one.zone, one.nominal, paper.now)
        following = first_after(one.cron, one.zone, paper.now)
    nominal, missed = come[-1], len(come) - 1
    assert nominal not in one.fired, "15: no occurrence fires twice"
    name, number = one.agent.name, len(paper.letters) + 1
    letter = Letter(number, "reminder", "reminder", one.body, name, None, 0, None, None, (), ())
    letter.about = {"reminder": one.name, "nominal_at_ms": nominal, "missed": missed}
    paper.letters.append(letter)
    paper.add_copy(letter, one.agent, rendered_bytes(one.body), rank=1, in_order=False)
    one.fired[nominal] = Firing(letter, missed, one.attempts + 1, paper.now)
    one.attempts = 0
    if following is None:
        one.state, one.nominal, one.due, one.ended = "done", nominal, None, paper.now
    else:
        one.nominal = one.due = following


def _fail(paper: Paper, one: Reminder) -> None:
    one.attempts += 1
    one.due = paper.now + backoff_ms(one.attempts)
    if one.attempts >= MAX_ATTEMPTS:
        one.state, one.due = "parked", None
        paper.notice("operator", None, cause=f"parked:{one.agent.name}")


def shift(paper: Paper, step_ms: int) -> None:
    """The clock was set: what is left of a delay stays as it was, a civil time is one on the new clock."""
    for one in paper.reminders:
        if one.elapsed and one.state in WAITING and not _is_set_by_new_clock(paper, one, step_ms):
            one.nominal, one.made = max(one.nominal + step_ms, 1), max(one.made + step_ms, 1)
            one.due = None if one.due is None else max(one.due + step_ms, 1)
    for agent in paper.agents.values():
        if agent.reminder_bucket_at:
            agent.reminder_bucket_at = max(min(agent.reminder_bucket_at + step_ms, paper.now), 1)


def _is_set_by_new_clock(paper: Paper, one: Reminder, step_ms: int) -> bool:
    """Whether it looks as if it was set after a step back that the broker had not noticed yet."""
    return step_ms < 0 and paper.now - 1000 <= one.made <= paper.now and one.nominal <= paper.now - step_ms


def forget(paper: Paper, before: int) -> None:
    """Retention deletes what was over before an instant."""
    for one in paper.reminders:
        one.gone = one.gone or (one.ended is not None and one.ended < before)


def clamp(paper: Paper) -> None:
    """After a start: no bucket was written and no delay was set later than now."""
    for one in paper.reminders:
        if one.elapsed and one.state in WAITING:
            one.made = min(one.made, paper.now)
    for agent in paper.agents.values():
        agent.reminder_bucket_at = min(agent.reminder_bucket_at, paper.now)
