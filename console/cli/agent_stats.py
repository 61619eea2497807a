"""What `queenpost stats` says of agents: one in full, with charts, or a line for each."""

import os
import sys
from typing import Any

from console.cli.charts import Style, chart, style_of
from console.cli.options import Options
from console.cli.screen import bold, dim, print_table, safe, say
from console.cli.sizes import length, size
from console.cli.times import ago, iso, maybe_iso
from wire.client import BrokerClient
from wire.statistics import AgentFigures, AgentsCounted, AgentsStats

MINUTE_MS = 60_000
PIECES_OF_A_LINE = 24
PIECES_OF_ONE = 48


async def of_one(client: BrokerClient, agent: str, since_ms: int | None) -> AgentsCounted:
    """Ask about one agent."""
    return await client.call(AgentsStats(agent=agent, since_ms=since_ms, buckets=PIECES_OF_ONE), AgentsCounted)


async def of_all(client: BrokerClient, since_ms: int | None) -> AgentsCounted:
    """Ask about all of them, page by page."""
    asked = AgentsStats(since_ms=since_ms, buckets=PIECES_OF_A_LINE)
    page = first = await client.call(asked, AgentsCounted)
    agents = list(first.agents)
    while page.more and page.agents:
        page = await client.call(asked.model_copy(update={"after": agents[-1].agent}), AgentsCounted)
        agents += page.agents
    return first.model_copy(update={"agents": agents})


def figures_as_json(counted: AgentsCounted, figures: AgentFigures) -> dict[str, Any]:
    """Give one agent in its stable shape."""
    return {
        "agent": figures.agent,
        "since": iso(counted.since_ms),
        "until": iso(counted.until_ms),
        "turns": figures.turns,
        "outcomes": figures.outcomes,
        "turn_ms": {"p50": figures.ms_p50, "p95": figures.ms_p95},
        "messages": figures.messages,
        "received": figures.received,
        "sent": figures.sent,
        "inbox": {"now": figures.inbox, "max": figures.inbox_max},
        "tokens": {"input": figures.input_tokens, "output": figures.output_tokens},
        "cost_usd": figures.cost_usd,
        "tool_calls": figures.tool_calls,
        "tools": figures.tools,
        "last_turn_at": maybe_iso(figures.last_turn_at_ms),
        "notes_bytes": figures.notes_bytes,
        "series": {
            "bucket_ms": counted.bucket_ms,
            **(figures.series.model_dump() if figures.series is not None else {}),
        },
    }


def print_one(counted: AgentsCounted, figures: AgentFigures, options: Options) -> None:
    """Print all that is known of one agent, each line with its course where it has one."""
    style = style_of(sys.stdout, os.environ)
    since = ago(counted.since_ms, counted.until_ms, absolute=options.absolute)
    piece = dim(f"  charts: {length(counted.bucket_ms)} a column, the newest at the right") if counted.bucket_ms else ""
    say(f"{bold(figures.agent)}  since {since}{piece}")
    say()
    for label, text, course in _lines(counted, figures, options):
        say(f"{bold(label.ljust(12))}{text}")
        if course and any(course):
            say(f"{'':12}{chart(course, style)}")


def _lines(
    counted: AgentsCounted, figures: AgentFigures, options: Options
) -> list[tuple[str, str, list[int] | list[float]]]:
    series = figures.series
    minutes = max(counted.until_ms - counted.since_ms, MINUTE_MS) / MINUTE_MS
    pace = dim(f"  {figures.turns / minutes:.2g} a minute") if figures.turns else ""
    calls = figures.tool_calls
    each = dim(f"  {calls / figures.turns:.1f} a turn") if calls and figures.turns else ""
    most = "" if figures.inbox_max is None else f" · {figures.inbox_max:,} at most behind a turn"
    last = figures.last_turn_at_ms
    return [
        ("TURNS", f"{_counts(figures.outcomes)}{pace}", series.turns if series else []),
        ("LENGTH", _lengths(figures), series.ms_p50 if series else []),
        ("TOOL CALLS", f"{_known(calls)}{each}", series.tool_calls if series else []),
        ("TOOLS", " · ".join(f"{safe(tool)} {n:,}" for tool, n in figures.tools.items()) or "none", []),
        ("TOKENS", _tokens(figures), series.tokens if series else []),
        ("COST", _cost(figures.cost_usd), series.cost_usd if series else []),
        ("RECEIVED", _counts(figures.received), series.received if series else []),
        ("SENT", f"{figures.sent:,}", series.sent if series else []),
        ("INBOX", f"{figures.inbox:,} now{most}", series.inbox_max if series else []),
        ("NOTES", "unknown" if figures.notes_bytes is None else size(figures.notes_bytes), []),
        ("LAST TURN", "none yet" if last is None else ago(last, counted.until_ms, absolute=options.absolute), []),
    ]


def print_all(counted: AgentsCounted, options: Options) -> None:
    """Print a line for each agent; its turns over time where a chart can be drawn."""
    style = style_of(sys.stdout, os.environ)
    rows = [_row(counted, figures, style, options) for figures in counted.agents]
    headings = ["AGENT", "TURNS", "FAILED", "MIDDLE", "95 OF 100", "TOOLS", "TOKENS", "COST", "INBOX", "LAST TURN", ""]
    print_table(headings, rows, right=range(1, 9))


def _row(counted: AgentsCounted, figures: AgentFigures, style: Style, options: Options) -> list[str]:
    failed = figures.turns - figures.outcomes.get("completed", 0)
    tokens = (figures.input_tokens or 0) + (figures.output_tokens or 0)
    last = figures.last_turn_at_ms
    drawn = figures.series is not None and style != "numbers"
    return [
        figures.agent,
        f"{figures.turns:,}",
        f"{failed:,}" if failed else dim("-"),
        dim("-") if figures.ms_p50 is None else length(figures.ms_p50),
        dim("-") if figures.ms_p95 is None else length(figures.ms_p95),
        _number(figures.tool_calls),
        _number(tokens),
        dim("-") if figures.cost_usd is None else _cost(figures.cost_usd),
        _number(figures.inbox),
        dim("none yet") if last is None else ago(last, counted.until_ms, absolute=options.absolute),
        chart(figures.series.turns, style) if figures.series is not None and drawn else "",
    ]


def _number(number: int | None) -> str:
    return f"{number:,}" if number else dim("-")


def _known(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def _counts(counts: dict[str, int]) -> str:
    return " · ".join(f"{label.replace('_', ' ')} {number:,}" for label, number in counts.items()) or "none"


def _lengths(figures: AgentFigures) -> str:
    if figures.ms_p50 is None or figures.ms_p95 is None:
        return "unknown"
    return f"half within {length(figures.ms_p50)}, 95 of 100 within {length(figures.ms_p95)}"


def _tokens(figures: AgentFigures) -> str:
    if figures.input_tokens is None and figures.output_tokens is None:
        return "unknown"
    return f"{figures.input_tokens or 0:,} in · {figures.output_tokens or 0:,} out"


def _cost(cost_usd: float | None) -> str:
    return "unknown" if cost_usd is None else f"${cost_usd:,.2f}"
