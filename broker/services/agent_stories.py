"""`explain` of an agent: what it does, why it does nothing, and what it did lately."""

from datetime import UTC, datetime

from broker.services import audit, views
from broker.services.states import Reports
from broker.store.readers import Reader
from broker.store.tx import Row
from wire.agents import AgentSummary
from wire.errors import Unknown
from wire.finding import AgentsExplain, Explained
from wire.ids import message_id, turn_id
from wire.inbox import Happening

STEPS_MAX = 20
"""Turns, and entries of the audit trail, that a story tells."""


async def explain(reader: Reader, request: AgentsExplain, now_ms: int, reports: Reports) -> Explained:
    """Tell what an agent does and why it does nothing.

    Raises:
        Unknown: no such agent.
    """
    name = request.agent
    listed = await views.list_agents(reader, reports, removed=True, name=name, now_ms=now_ms)
    row = await reader.one("finding.agent", name=name)
    waiting = await reader.one("finding.waiting", name=name, now=now_ms)
    if not listed.agents or row is None or waiting is None:
        raise Unknown(f"no agent {name!r} in this fleet; `queenpost agent list` shows them")
    summary = listed.agents[0]
    turns = await reader.all("finding.agent_turns", name=name, limit=STEPS_MAX)
    audited = await reader.all("finding.agent_audit", name=name, limit=STEPS_MAX)
    oldest = await reader.one("finding.oldest_ready", name=name)
    steps = [*_turns(turns[::-1]), *audit.story(audited[::-1])]
    return Explained(
        id=name,
        noun="agent",
        state=summary.state,
        waits_for=waits_for(summary, waiting, now_ms),
        facts=_facts(summary, row, oldest["sent_at"] if oldest else None, now_ms),
        history=sorted(steps, key=lambda step: step.at_ms),
    )


_REASONS = {
    "stopped": "{reason}",
    "failed": "it failed: {reason}; its log says more, `queenpost logs --agent {name}`",
    "frozen": "{mail}; it is frozen {reason}",
    "paused": "{mail}, but it is paused; `queenpost agent resume {name}` lets it go on",
    "deaf": "{mail}, but nobody works for it; start its harness with `queenpost harness {name}` or `queenpost up`",
    "away": "{mail}; its harness is not connected: start it with `queenpost harness {name}` or `queenpost up`",
    "sessionless": "{mail}; no session is connected: `queenpost mcp --agent {name}` or `queenpost recv --as {name}`",
    "parked": "{mail}; it is parked: {reason}",
    "waiting_permission": "{mail}; it waits for a permission: {reason}",
}
"""Why an agent of this state does nothing."""


def waits_for(agent: AgentSummary, waiting: Row, now_ms: int) -> str | None:
    """Say in words why the agent does nothing; None while it works. Pure."""
    mail = _count(agent.ready, "message waits", "messages wait")
    if agent.state == "working":
        return None
    if agent.state == "idle":
        return _idle(mail, waiting, now_ms)
    without = agent.state == "away" and agent.backend == "none"
    reason = _REASONS["sessionless" if without else agent.state]
    return reason.format(mail=mail, name=agent.name, reason=agent.reason or "it does not say why")


def _idle(mail: str, waiting: Row, now_ms: int) -> str:
    if waiting["first"] is None:
        return "no mail"
    first = message_id(waiting["first"])
    if waiting["eligible"]:
        return f"{mail} for its next turn, which opens in a moment; {first} is first"
    resting, rests_s = message_id(waiting["resting"]), max(waiting["rests_until"] - now_ms, 0) / 1000
    return f"{mail}; {resting} backs off for {rests_s:.0f} s after a failed turn, with what stands behind it"


def _facts(agent: AgentSummary, row: Row, oldest_ms: int | None, now_ms: int) -> dict[str, str]:
    facts = {
        "role": agent.role,
        "backend": agent.backend,
        "declared in": "queenpost.toml" if agent.origin == "file" else "the database",
        "epoch": str(agent.epoch),
        "holder": _holder(row, now_ms),
        "mail": f"{agent.ready} waiting, {agent.leased} in turn, {agent.held} held, {agent.dead} dead",
        "oldest waiting": _since(oldest_ms, now_ms),
        "inbox": f"{_count(row['inbox_messages'], 'message', 'messages')}, {row['inbox_bytes']} bytes",
        "asks": f"{row['asked']} of its own open, {row['to_answer']} to answer",
        "reminders": _reminders(row, now_ms),
    }
    turn = agent.last_turn
    if turn is not None:
        ended = "still open" if turn.closed_at_ms is None else _since(turn.closed_at_ms, now_ms)
        facts["last turn"] = f"{turn.id} {(turn.outcome or turn.state).replace('_', ' ')}, {ended}"
    return facts


def _holder(row: Row, now_ms: int) -> str:
    if row["instance"] is None:
        return "nobody"
    kind = "a session" if row["attended"] else "a harness"
    return kind if row["lost_at"] is None else f"{kind}, whose connection ended {_since(row['lost_at'], now_ms)}"


def _reminders(row: Row, now_ms: int) -> str:
    if not row["reminders"]:
        return "none"
    next_at = row["next_reminder"]
    if next_at is None:
        return f"{row['reminders']}, parked: `queenpost reminders` shows why"
    return f"{row['reminders']}, the next one at {_moment(next_at)}"


def _since(at_ms: int | None, now_ms: int) -> str:
    return "none" if at_ms is None else f"{max(now_ms - at_ms, 0) / 1000:.0f} s ago"


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _count(number: int, one: str, many: str) -> str:
    return f"{number or 'no'} {one if number == 1 else many}"


def _turns(rows: list[Row]) -> list[Happening]:
    steps: list[Happening] = []
    for row in rows:
        turn = turn_id(row["id"])
        kind = "attended turn" if row["attended"] else "turn"
        size = _count(row["messages"], "message", "messages")
        steps.append(Happening(at_ms=row["opened_at"], event="turn_opened", detail=f"{turn}, {kind} with {size}"))
        if row["closed_at"] is not None:
            why = f" ({row['reason']})" if row["reason"] else ""
            steps.append(Happening(at_ms=row["closed_at"], event=f"turn_{row['outcome']}", detail=f"{turn}{why}"))
        elif row["state"] == "lapsed":
            steps.append(Happening(at_ms=row["opened_at"], event="turn_lapsed", detail=turn))
    return steps
