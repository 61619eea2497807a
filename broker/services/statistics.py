"""Statistics: a row of figures for each turn that ended, and what they add up to.

The rows are made behind the turns, some hundred at once, by the timekeeper and before anybody reads: never by the
close of a turn, which must not fail or wait for them.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast, get_args

from pydantic import ValidationError

from broker.services.callers import Caller
from broker.store.jobs import Command
from broker.store.readers import Reader
from broker.store.tx import Row, SqlValue, Tx
from wire.errors import Denied, Unknown
from wire.inbox import Kind
from wire.statistics import SHOWN_TOOLS, AgentFigures, AgentsCounted, AgentsStats, Series
from wire.turns import Usage

HARVESTED = 100
"""Turns at once."""
EVERY_MS = 60_000
PER_ROUND = 10
"""Commands in one round of the timekeeper."""
BEFORE_READING = 100
"""Commands before somebody reads; what is left after those follows within minutes."""

DAY_MS = 86_400_000
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_TURNS = 50_000
"""Added up in one answer: in about a second. What is asked for more turns begins later."""
PAGE_NUMBERS = 4_800
"""Pieces of time in one answer, of all its agents: each is eleven numbers in a frame."""
PAGE_AGENTS = 200


def harvest(tx: Tx) -> bool:
    """Make the rows of some turns that ended; True if there may be more.

    Idempotent: a turn is counted once. Finding nothing writes nothing.
    """
    rows = tx.all("statistics.to_count", limit=HARVESTED)
    if not rows:
        return False
    ids = json.dumps([row["turn"] for row in rows])
    received = {(row["turn"], row["kind"]): row["n"] for row in tx.all("statistics.received", ids=ids)}
    tx.run_each("statistics.add", [_figures(tx, row, received) for row in rows])
    tx.run("statistics.counted", ids=ids)
    return len(rows) == HARVESTED


def _figures(tx: Tx, row: Row, received: dict[tuple[int, str], int]) -> dict[str, SqlValue]:
    usage = _usage(tx, row)
    columns = ("turn", "agent", "at", "outcome", "ms", "messages", "inbox", "sent")
    return {
        **{name: cast("SqlValue", row[name]) for name in columns},
        **{f"received_{kind}": received.get((row["turn"], kind), 0) for kind in KINDS},
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost_usd,
        "tool_calls": usage.tool_calls,
        "tools": json.dumps(usage.tools, ensure_ascii=False),
        "notes_bytes": usage.notes_bytes,
    }


def _usage(tx: Tx, row: Row) -> Usage:
    """Read what a program said; of a damaged row the rest is counted all the same."""
    try:
        return Usage.model_validate_json(row["usage"]) if row["usage"] is not None else Usage()
    except ValidationError:
        tx.log("usage_unreadable", turn=row["turn"])
        return Usage()


async def harvest_some(run: Callable[[Command[bool]], Awaitable[bool]], commands: int) -> bool:
    """Run a few harvests, others' commands between them; True if there may be more."""
    for _ in range(commands):
        if not await run(harvest):
            return False
    return True


@dataclass(slots=True)
class Harvest:
    """When the timekeeper makes rows. In memory: a start begins with the first."""

    begins_at_ms: int = 0
    more: bool = True

    def is_due(self, now_ms: int) -> bool:
        """Say whether there is something to do: once a minute, until nothing is left."""
        at_ms = min(self.begins_at_ms, now_ms + EVERY_MS)  # the clock may have been set back
        if now_ms >= at_ms:
            at_ms, self.more = now_ms + EVERY_MS, True
        self.begins_at_ms = at_ms
        return self.more


async def stats(reader: Reader, caller: Caller, request: AgentsStats, now_ms: int) -> AgentsCounted:
    """Add up what there are rows of.

    Raises:
        Denied: an agent asks for another, and is not the manager. Unknown: no such agent.
    """
    agent = await _whose(reader, caller, request)
    since = await _since(reader, agent, request, now_ms)
    width = max(-(-(now_ms - since) // request.buckets), 1) if request.buckets else 0
    most = 1 if agent else max(min(PAGE_NUMBERS // max(request.buckets, 1), PAGE_AGENTS), 1)
    rows = await reader.all("statistics.agents", agent=agent, after="" if agent else request.after, limit=most + 1)
    if agent and not rows:
        raise Unknown(f"no agent {agent!r} in this fleet; `queenpost agent list` shows them")
    sums = await _Sums.read(reader, [row["name"] for row in rows[:most]], since, width, request.buckets)
    return AgentsCounted(
        since_ms=since,
        until_ms=now_ms,
        bucket_ms=width,
        agents=[sums.figures_of(row) for row in rows[:most]],
        more=len(rows) > most,
    )


async def _whose(reader: Reader, caller: Caller, request: AgentsStats) -> str | None:
    if caller.kind != "agent" or request.agent == caller.name:
        return request.agent
    me = await reader.one("agents.agent", name=caller.name)
    if me is not None and me["role"] == "manager":
        return request.agent
    if request.agent is None:
        return caller.name
    raise Denied("an agent sees only its own figures; the manager and the operator see those of all")


async def _since(reader: Reader, agent: str | None, request: AgentsStats, now_ms: int) -> int:
    """Where the time begins that is shown: a chart of years without a turn would show nothing, and millions of turns
    are not added up while somebody waits."""
    asked = now_ms - DAY_MS if request.since_ms is None else min(request.since_ms, now_ms)
    if agent is None:
        row = await reader.one("statistics.oldest", most=MOST_TURNS)
    else:
        row = await reader.one("statistics.oldest_of", agent=agent, most=MOST_TURNS)
    return asked if row is None or row["at"] is None else max(asked, min(row["at"], now_ms))


@dataclass(frozen=True, slots=True)
class _Sums:
    """What the queries gave, by agent."""

    totals: dict[str, Any]
    lengths: dict[str, Any]
    outcomes: dict[str, dict[str, int]]
    tools: dict[str, dict[str, int]]
    buckets: dict[str, dict[int, Any]]
    pieces: int

    @classmethod
    async def read(cls, reader: Reader, names: list[str], since: int, width: int, pieces: int) -> "_Sums":
        """Ask for all of it."""
        whose = {"names": json.dumps(names), "since": since}
        buckets: dict[str, dict[int, Any]] = {}
        if pieces:
            for row in await reader.all("statistics.buckets", **whose, width=width, last=pieces - 1):
                buckets.setdefault(row["agent"], {})[row["bucket"]] = row
        return cls(
            totals={row["agent"]: row for row in await reader.all("statistics.totals", **whose)},
            lengths={row["agent"]: row for row in await reader.all("statistics.lengths", **whose)},
            outcomes=_labelled(await reader.all("statistics.outcomes", **whose)),
            tools=_labelled(await reader.all("statistics.tools", **whose)),
            buckets=buckets,
            pieces=pieces,
        )

    def figures_of(self, row: Any) -> AgentFigures:
        """Put together what belongs to one agent."""
        agent: str = row["name"]
        found: dict[str, Any] = {
            "inbox": row["inbox"],
            "last_turn_at_ms": row["last_turn_at"],
            "notes_bytes": row["notes_bytes"],
            "series": self._series_of(agent),
        }
        total = self.totals.get(agent)
        if total is not None:
            names = (
                "turns",
                "messages",
                "sent",
                "inbox_max",
                "input_tokens",
                "output_tokens",
                "cost_usd",
                "tool_calls",
            )
            found |= {name: total[name] for name in names}
            found["received"] = {kind: total[kind] for kind in KINDS if total[kind]}
            found |= {"ms_p50": self.lengths[agent]["p50"], "ms_p95": self.lengths[agent]["p95"]}
        tools = list(self.tools.get(agent, {}).items())[:SHOWN_TOOLS]
        return AgentFigures(agent=agent, outcomes=self.outcomes.get(agent, {}), tools=dict(tools), **found)

    def _series_of(self, agent: str) -> Series | None:
        if not self.pieces:
            return None
        rows = [self.buckets.get(agent, {}).get(number) for number in range(self.pieces)]
        return Series.model_validate(
            {name: [(row[name] or 0) if row is not None else 0 for row in rows] for name in Series.model_fields}
        )


def _labelled(rows: list[Any]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["agent"], {})[row["label"]] = row["n"]
    return found
