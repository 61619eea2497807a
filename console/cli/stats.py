"""`queenpost stats`: what the broker did, and what the turns of its agents came to, in numbers."""

from datetime import datetime
from typing import Any

import click

from console.cli import agent_stats
from console.cli.connecting import converse
from console.cli.kinds import Instant
from console.cli.options import Options, command
from console.cli.screen import bold, dim, print_json, print_table, say
from console.cli.sizes import length, size
from console.cli.times import ago, iso
from wire.client import BrokerClient
from wire.clock import SystemClock
from wire.office import FleetFigures, FleetStats
from wire.reminders import ReminderCounts, RemindersCounted, RemindersStats
from wire.statistics import AgentsCounted


@command("stats")
@click.argument("agent", required=False)
@click.option(
    "--since",
    metavar="WHEN",
    type=Instant(),
    help="From then on: 30s, 10m, 2h, 1d ago, or an ISO time. Else for 24 hours.",
)
def stats(options: Options, agent: str | None, since: datetime | None) -> None:
    """Count messages, turns, asks and reminders, with a line for each agent; or all that is known of one AGENT.

    On a terminal with small charts. An agent (--as NAME) sees its own figures.
    """
    since_ms = None if since is None else int(since.timestamp() * 1000)
    whose = agent or options.as_
    if whose is not None:
        _print_agent(converse(options, lambda client: agent_stats.of_one(client, whose, since_ms)), options)
        return
    figures, reminders, agents = converse(options, lambda client: _counted(client, since_ms))
    if options.json:
        print_json(figures_as_json(figures, reminders, agents))
        return
    now_ms = SystemClock().now_ms()
    say(f"since {ago(figures.since_ms, now_ms, absolute=options.absolute)}, unless it says otherwise")
    say()
    for label, text in _lines(figures, now_ms):
        say(f"{bold(label.ljust(12))}{text}")
    if agents.agents:
        say()
        agent_stats.print_all(agents, options)
    if reminders:
        say()
        _print_reminders(reminders)


def _print_agent(counted: AgentsCounted, options: Options) -> None:
    for figures in counted.agents:
        if options.json:
            print_json(agent_stats.figures_as_json(counted, figures))
        else:
            agent_stats.print_one(counted, figures, options)


async def _counted(
    client: BrokerClient, since_ms: int | None
) -> tuple[FleetFigures, list[ReminderCounts], AgentsCounted]:
    figures = await client.call(FleetStats(since_ms=since_ms), FleetFigures)
    reminders = await client.call(RemindersStats(since_ms=figures.since_ms), RemindersCounted)
    return figures, reminders.agents, await agent_stats.of_all(client, figures.since_ms)


def figures_as_json(figures: FleetFigures, reminders: list[ReminderCounts], agents: AgentsCounted) -> dict[str, Any]:
    """Give the figures in their stable shape; `deliveries`, open asks and sizes are of this moment."""
    return {
        "since": iso(figures.since_ms),
        "messages": figures.messages,
        "deliveries": figures.deliveries,
        "turns": figures.turns,
        "turn_ms": {"p50": figures.turn_ms_p50, "p95": figures.turn_ms_p95},
        "asks": figures.asks,
        "reminders": {
            "delivered": figures.reminders_delivered,
            "agents": [one.model_dump() for one in reminders],
        },
        "jobs": figures.jobs,
        "job_events": figures.events,
        "refused": figures.refused,
        "connections": figures.connections,
        "database_bytes": figures.database_bytes,
        "wal_bytes": figures.wal_bytes,
        "started_at": iso(figures.started_at_ms),
        "agents": [agent_stats.figures_as_json(agents, one) for one in agents.agents],
    }


def _lines(figures: FleetFigures, now_ms: int) -> list[tuple[str, str]]:
    lengths = ""
    if figures.turn_ms_p50 is not None and figures.turn_ms_p95 is not None:
        lengths = dim(f"  half within {length(figures.turn_ms_p50)}, 95 of 100 within {length(figures.turn_ms_p95)}")
    sizes = f"database {size(figures.database_bytes)} · write-ahead log {size(figures.wal_bytes)}"
    return [
        ("MESSAGES", _counts(figures.messages)),
        ("TURNS", _counts(figures.turns) + lengths),
        ("ASKS", _counts(figures.asks)),
        ("REMINDERS", f"{figures.reminders_delivered} fired"),
        ("JOBS", f"{_counts(figures.jobs)}{dim(f'  events: {_counts(figures.events)}')}"),
        ("DELIVERIES", f"{_counts(figures.deliveries)}{dim('  all there are')}"),
        ("REFUSED", f"{_counts(figures.refused)}{dim(f'  since the start, {ago(figures.started_at_ms, now_ms)}')}"),
        ("BROKER", f"{figures.connections} connections · {sizes}"),
    ]


def _counts(counts: dict[str, int]) -> str:
    return " · ".join(f"{label.replace('_', ' ')} {number:,}" for label, number in counts.items()) or "none"


def _print_reminders(agents: list[ReminderCounts]) -> None:
    rows = [[one.agent, str(one.delivered), str(one.failed), _attempts(one.attempts)] for one in agents]
    print_table(["REMINDERS OF", "FIRED", "FAILED", "ATTEMPTS"], rows, right=[1, 2])


def _attempts(attempts: dict[str, int]) -> str:
    return ", ".join(f"{number}× after {needed}" for needed, number in sorted(attempts.items()))
