"""`queenpost stats`: what the broker did, in numbers."""

from datetime import datetime
from typing import Any

import click

from console.cli.connecting import converse
from console.cli.kinds import Instant
from console.cli.options import Options, command
from console.cli.screen import bold, dim, print_json, print_table
from console.cli.times import ago, iso, span
from wire.client import BrokerClient
from wire.clock import SystemClock
from wire.office import FleetFigures, FleetStats
from wire.reminders import ReminderCounts, RemindersCounted, RemindersStats

UNITS = ("B", "KiB", "MiB", "GiB")


@command("stats")
@click.option(
    "--since",
    metavar="WHEN",
    type=Instant(),
    help="From then on: 30s, 10m, 2h, 1d ago, or an ISO time. Else for 24 hours.",
)
def stats(options: Options, since: datetime | None) -> None:
    """Count messages, turns, asks and reminders since an instant, and what there is now."""
    since_ms = None if since is None else int(since.timestamp() * 1000)
    figures, reminders = converse(options, lambda client: _counted(client, since_ms))
    if options.json:
        print_json(figures_as_json(figures, reminders))
        return
    now_ms = SystemClock().now_ms()
    click.echo(f"since {ago(figures.since_ms, now_ms, absolute=options.absolute)}, unless it says otherwise")
    click.echo()
    for label, text in _lines(figures, now_ms):
        click.echo(f"{bold(label.ljust(12))}{text}")
    if reminders:
        click.echo()
        _print_reminders(reminders)


async def _counted(client: BrokerClient, since_ms: int | None) -> tuple[FleetFigures, list[ReminderCounts]]:
    figures = await client.call(FleetStats(since_ms=since_ms), FleetFigures)
    reminders = await client.call(RemindersStats(since_ms=figures.since_ms), RemindersCounted)
    return figures, reminders.agents


def figures_as_json(figures: FleetFigures, reminders: list[ReminderCounts]) -> dict[str, Any]:
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
        "refused": figures.refused,
        "connections": figures.connections,
        "database_bytes": figures.database_bytes,
        "wal_bytes": figures.wal_bytes,
        "started_at": iso(figures.started_at_ms),
    }


def _lines(figures: FleetFigures, now_ms: int) -> list[tuple[str, str]]:
    lengths = ""
    if figures.turn_ms_p50 is not None and figures.turn_ms_p95 is not None:
        lengths = dim(f"  half within {_length(figures.turn_ms_p50)}, 95 of 100 within {_length(figures.turn_ms_p95)}")
    sizes = f"database {_size(figures.database_bytes)} · write-ahead log {_size(figures.wal_bytes)}"
    return [
        ("MESSAGES", _counts(figures.messages)),
        ("TURNS", _counts(figures.turns) + lengths),
        ("ASKS", _counts(figures.asks)),
        ("REMINDERS", f"{figures.reminders_delivered} fired"),
        ("DELIVERIES", f"{_counts(figures.deliveries)}{dim('  all there are')}"),
        ("REFUSED", f"{_counts(figures.refused)}{dim(f'  since the start, {ago(figures.started_at_ms, now_ms)}')}"),
        ("BROKER", f"{figures.connections} connections · {sizes}"),
    ]


def _counts(counts: dict[str, int]) -> str:
    return " · ".join(f"{label.replace('_', ' ')} {number:,}" for label, number in counts.items()) or "none"


def _length(milliseconds: int) -> str:
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 60_000 else span(milliseconds)


def _size(size: float) -> str:
    for unit in UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {UNITS[-1]}"


def _print_reminders(agents: list[ReminderCounts]) -> None:
    rows = [[one.agent, str(one.delivered), str(one.failed), _attempts(one.attempts)] for one in agents]
    print_table(["REMINDERS OF", "FIRED", "FAILED", "ATTEMPTS"], rows, right=[1, 2])


def _attempts(attempts: dict[str, int]) -> str:
    return ", ".join(f"{number}× after {needed}" for needed, number in sorted(attempts.items()))
