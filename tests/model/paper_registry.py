"""What holders, operators and time do on paper. Each act gives its answer in the words of `answers`, or refuses.

Long because all that comes from outside the mail stands here, side by side.
"""

from collections.abc import Callable, Iterable
from typing import Any

from broker.services.callers import Caller
from broker.services.holders import HOLDER_LIVES_MS
from broker.services.notices import MERGE_MS
from broker.services.wakeups import LONGEST_BACKOFF_MS
from tests.model import paper_asks, paper_jobs, paper_reminders
from tests.model.paper import Agent, Copy, Paper, number_of, refuse
from tests.model.paper_acts import Answer
from tests.model.paper_storms import forget_ahead
from wire.settings import AgentSettings, Settings
from wire.turns import LEASE_MS


def once(paper: Paper, op: str, key: str, asked: Any, act: Callable[[], Answer]) -> Answer:
    """DESIGN 4: the same key gives the first answer again."""
    found = paper.answered.get((op, key))
    if found is not None:
        if found[0] != asked:
            refuse("conflict")
        return found[1]
    answer = act()
    paper.answered[op, key] = (asked, answer)
    paper.answered_at[op, key] = paper.now
    return answer


# --- holders ----------------------------------------------------------------------------------------


def attach(paper: Paper, name: str, instance: str, *, attended: bool, takeover: bool) -> Answer:
    """DESIGN 5.4, 5.7."""
    agent = paper.present(name)
    if agent is None or agent.role == "operator":
        refuse("unknown")
    if agent.state == "stopped":
        refuse("denied")
    if agent.instance != instance:
        free = agent.instance is None or (takeover and not attended)
        if not free and (agent.lost_at is None or agent.lost_at + HOLDER_LIVES_MS > paper.now):
            refuse("conflict")
        paper.release_turns(agent, "fenced", died=True)
        agent.epoch += 1
    agent.instance, agent.attended, agent.lost_at = instance, attended, None
    turn = paper.open_turn(agent)
    return ("attached", name, agent.epoch, attended, turn.name if turn else None, agent.paused)


def detach(paper: Paper, caller: Caller) -> Answer:
    """DESIGN 5.7."""
    agent = paper.agents.get(caller.name)
    if agent is None or agent.instance is None or agent.instance != caller.instance:
        return ("changed", caller.name, False, 0)
    paper.vacate(agent)
    return ("changed", caller.name, True, 0)


def connection_ended(paper: Paper, caller: Caller, *, local: bool) -> Answer:
    """DESIGN 5.4, 5.7."""
    agent = paper.agents.get(caller.name)
    if agent is None or agent.instance != (caller.instance or ""):
        return None
    if agent.attended and local:
        paper.vacate(agent)
    elif agent.lost_at is None:
        agent.lost_at = paper.now
        turn = paper.open_turn(agent)
        if turn is not None:
            turn.lease_until = paper.now + LEASE_MS
    return None


# --- the registry -----------------------------------------------------------------------------------


def _known(paper: Paper, name: str) -> Agent:
    agent = paper.agents.get(name)
    if agent is None or agent.role == "operator":
        refuse("unknown")
    return agent


def _put(paper: Paper, name: str, settings: AgentSettings, origin: str) -> None:
    agent = paper.agents.setdefault(name, Agent(name))
    agent.role, agent.origin, agent.state, agent.settings = settings.role, origin, "active", settings
    agent.paused, agent.instance, agent.lost_at = False, None, None
    agent.bucket, agent.bucket_at = 0.0, 0
    agent.reminder_bucket, agent.reminder_bucket_at = 0.0, 0


def _other_manager(paper: Paper, name: str, settings: AgentSettings) -> bool:
    manager = paper.manager()
    return settings.role == "manager" and manager is not None and manager.name != name


def add(paper: Paper, name: str, settings: AgentSettings) -> Answer:
    """DESIGN 10."""
    if paper.present(name) is not None or _other_manager(paper, name, settings):
        refuse("conflict")
    _put(paper, name, settings, "database")
    paper.tokens.add(name)
    paper.audit.append(("agent.added", name))
    return ("changed", name, True, 0)


def remove(paper: Paper, name: str) -> Answer:
    """DESIGN 5.18."""
    agent = _known(paper, name)
    if agent.state == "removed":
        return ("changed", name, False, 0)
    if agent.origin == "file" and agent.state != "stopped":
        refuse("conflict")
    paper.vacate(agent)
    agent.state = "removed"
    paper_asks.cancel_of(paper, name)
    paper_reminders.cancel_of(paper, name)
    dead = [copy for copy in sorted(agent.copies, key=_place) if copy.state in ("ready", "scheduled", "held")]
    for copy in dead:
        copy.state = "dead"
    paper.tell_of_dead(agent, dead)
    paper.tokens.discard(name)
    paper.audit.append(("agent.removed", name))
    return ("changed", name, True, len(dead))


def _place(copy: Copy) -> int:
    return copy.place


def pause(paper: Paper, name: str, *, paused: bool) -> Answer:
    """DESIGN 5.18."""
    agent = _known(paper, name)
    if agent.state == "removed":
        refuse("unknown")
    changed = agent.paused != paused
    agent.paused = paused
    if changed:
        paper.audit.append(("agent.paused" if paused else "agent.resumed", name))
    return ("changed", name, changed, 0)


def apply(paper: Paper, settings: Settings) -> Answer:
    """DESIGN 10: all of it or nothing, so conflicts are looked for on a list of roles first."""
    _require_no_conflict(paper, settings)
    changes: list[tuple[str, str]] = []
    for agent in sorted(paper.agents.values(), key=lambda agent: agent.name):
        if agent.origin == "file" and agent.state == "active" and agent.name not in settings.agents:
            paper.vacate(agent)
            agent.state = "stopped"
            changes.append((agent.name, "stopped"))
    for name, wanted in _managers_last(settings):
        agent = paper.present(name)
        if agent is None:
            _put(paper, name, wanted, "file")
            changes.append((name, "added"))
        elif agent.state != "active" or agent.settings != wanted:
            changes.append((name, "changed" if agent.state == "active" else "revived"))
            agent.role, agent.settings, agent.state = wanted.role, wanted, "active"
        paper.tokens.add(name)
    if settings.limits != paper.applied:
        paper.applied = settings.limits
        changes.append(("limits", "changed"))
    if changes:
        paper.audit.append(("settings.applied", "fleet"))
    return ("applied", tuple(changes))


def _managers_last(settings: Settings) -> Iterable[tuple[str, AgentSettings]]:
    return sorted(settings.agents.items(), key=lambda item: item[1].role == "manager")


def _require_no_conflict(paper: Paper, settings: Settings) -> None:
    roles = {agent.name: agent.role for agent in paper.agents.values() if agent.state != "removed"}
    for name, wanted in _managers_last(settings):
        agent = paper.present(name)
        if agent is not None and agent.origin == "database":
            refuse("conflict")
        same = agent is not None and agent.state == "active" and agent.settings == wanted
        others = {other for other, role in roles.items() if role == "manager" and other != name}
        if wanted.role == "manager" and others and not same:
            refuse("conflict")
        roles[name] = wanted.role


# --- letters ----------------------------------------------------------------------------------------


def _dead(paper: Paper, ids: list[str], recipient: str | None, *, or_held: bool = False) -> list[Copy]:
    found: list[Copy] = []
    for name in dict.fromkeys(ids):
        letter = paper.letter_named(name)
        copies = [] if letter is None else letter.copies
        dead = [copy for copy in copies if copy.state == "dead" and not copy.discarded]
        dead += [copy for copy in copies if copy.state == "held" and or_held]
        dead = [copy for copy in dead if recipient is None or copy.recipient.name == recipient]
        if not dead:
            refuse("unknown")
        found += sorted(dead, key=lambda copy: copy.recipient.name)
    return found


def requeue(paper: Paper, ids: list[str], recipient: str | None) -> Answer:
    """DESIGN 5.8, 5.9."""
    copies = _dead(paper, ids, recipient)
    if any(copy.recipient.state == "removed" for copy in copies):
        refuse("conflict")
    for copy in copies:
        copy.recipient.place += 1
        copy.state, copy.place, copy.ready_at, copy.settled_at = "ready", copy.recipient.place, 0, None
        copy.failures = copy.restarts = 0
        copy.alone = False
        paper.audit.append(("message.requeued", copy.name))
    return ("moved", tuple(sorted(f"{copy.name}/{copy.recipient.name}" for copy in copies)))


def discard(paper: Paper, ids: list[str], recipient: str | None) -> Answer:
    """DESIGN 5.9: it stays dead, or becomes so if it was held."""
    copies = _dead(paper, ids, recipient, or_held=True)
    for copy in copies:
        copy.state, copy.discarded = "dead", True
        paper.audit.append(("message.discarded", copy.name))
    return ("moved", tuple(sorted(f"{copy.name}/{copy.recipient.name}" for copy in copies)))


def ack(paper: Paper, ids: list[str], *, everything: bool) -> Answer:
    """DESIGN 5.17."""
    if bool(ids) == everything:
        refuse("invalid")
    if any(number_of(name, "m") is None for name in ids):
        refuse("unknown")
    mine = {copy.name: copy for copy in paper.agents["operator"].copies}
    if any(name not in mine for name in ids):
        refuse("unknown")
    unread = [copy for copy in mine.values() if copy.state == "ready" and (everything or copy.name in ids)]
    for copy in unread:
        copy.state = "acked"
    if unread:
        paper.audit.append(("mailbox.read", "operator"))
    return ("read", tuple(copy.name for copy in unread))


# --- time -------------------------------------------------------------------------------------------


def run_due(paper: Paper) -> Answer:
    """DESIGN 5.6, 5.8: leases that ran out lapse, ended back-offs end, asks expire, notices and reminders go out."""
    over = [turn for turn in paper.turns if turn.state == "open" and turn.lease_until <= paper.now]
    for turn in sorted(over, key=lambda turn: (turn.lease_until, turn.id)):
        held = turn.held
        turn.state = "lapsed"
        paper.back(held, died=not turn.attended)
    for copy in paper.copies:
        if copy.state == "ready" and 0 < copy.ready_at <= paper.now:
            copy.ready_at = 0
    paper_asks.expire(paper)
    paper_jobs.mark_overdue(paper)
    paper.flush_notices()
    return paper_reminders.fire(paper)


def next_due(paper: Paper) -> int | None:
    """When there is something to do for `run_due` again."""
    leases = [turn.lease_until for turn in paper.turns if turn.state == "open"]
    backoffs = [copy.ready_at for copy in paper.copies if copy.state == "ready" and copy.ready_at > 0]
    notices = [told.due for told in paper.told.values() if told.due is not None]
    deadlines = [ask.deadline for ask in paper_asks.open_ones(paper)]
    reminders = [one.due for one in paper.reminders if one.due is not None]
    return min([*leases, *backoffs, *notices, *deadlines, *reminders, *paper_jobs.dues(paper)], default=None)


def rearm(paper: Paper) -> Answer:
    """DESIGN 5.7: every lease gets one fresh period."""
    for turn in paper.turns:
        if turn.state == "open":
            turn.lease_until = paper.now + LEASE_MS
    return None


def restart(paper: Paper) -> Answer:
    """DESIGN 5.7: no connection is left; open turns may be resumed for 60 s."""
    for agent in paper.agents.values():
        if agent.instance is not None:
            agent.lost_at = paper.now
        agent.bucket_at = min(agent.bucket_at, paper.now)
    for copy in paper.copies:
        if copy.state == "ready":
            copy.ready_at = min(copy.ready_at, paper.now + LONGEST_BACKOFF_MS)
    for told in paper.told.values():
        if told.at > paper.now:
            told.at, told.due = paper.now, None if told.due is None else min(told.due, paper.now + MERGE_MS)
    paper_asks.clamp(paper)
    paper_reminders.clamp(paper)
    paper_jobs.clamp(paper)
    forget_ahead(paper)
    return rearm(paper)


def clock_was_set(paper: Paper, step_ms: int) -> Answer:
    """DESIGN 5.7: what was measured from an instant is measured from the same one, by its new name."""
    for copy in paper.copies:
        if copy.state == "ready" and copy.ready_at > 0:
            copy.ready_at = max(copy.ready_at + step_ms, 1)
    for agent in paper.agents.values():
        if agent.lost_at is not None:
            agent.lost_at += step_ms
        if agent.bucket_at:
            agent.bucket_at = max(agent.bucket_at + step_ms, 1)
    for told in paper.told.values():
        told.at += step_ms
        if told.due is not None:
            told.due = max(told.due + step_ms, 1)
    paper_asks.shift(paper, step_ms)
    paper_reminders.shift(paper, step_ms)
    paper_jobs.shift(paper, step_ms)
    forget_ahead(paper)
    return rearm(paper)
