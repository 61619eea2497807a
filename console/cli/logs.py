"""`queenpost logs`: what the programs of a fleet did, merged by time; on a terminal one clear line each."""

import itertools
import json
import re
import sys
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import anyio
import click

from console.cli.connecting import name_fleet
from console.cli.homes import home_of, name_of
from console.cli.options import Options, command
from console.log_files import Follower, Record, read_all, time_of
from wire.errors import Invalid
from wire.logs import render_line

LOOK_EVERY_S = 0.2
UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}


@command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on; Ctrl-C ends it.")
@click.option(
    "--program",
    "programs",
    multiple=True,
    type=click.Choice(["broker", "harness", "up"]),
    help="Only this program; may be given more than once.",
)
@click.option("--since", metavar="WHEN", help="From then on: 30s, 10m, 2h, 1d ago, or an ISO time.")
@click.option("-n", "--lines", type=click.IntRange(0), default=100, show_default=True, help="No more than the last N.")
def logs(options: Options, follow: bool, programs: tuple[str, ...], since: str | None, lines: int) -> None:
    """Read the logs of the fleet. With --json each line is the record as it stands in the file.

    --since shows everything from then on; without it, the last lines.
    """
    home = home_of(options)
    if not options.json:
        name_fleet(name_of(options, home), home.root)
    # Followed from before the reading, so that nothing falls between the two.
    follower = Follower(home.logs, programs) if follow else None
    print_records(_chosen(read_all(home.logs, programs), since, lines), as_json=options.json)
    if follower is not None:
        anyio.run(_follow, follower, options.json)


def _chosen(records: Iterable[Record], since: str | None, lines: int) -> Iterable[Record]:
    if since is None:
        return deque(records, maxlen=lines)
    start = instant(since, datetime.now(UTC)).isoformat(timespec="milliseconds")
    return itertools.dropwhile(lambda record: time_of(record) < start, records)


async def _follow(follower: Follower, as_json: bool) -> None:
    try:
        while True:
            print_records(follower.new(), as_json=as_json)
            await anyio.sleep(LOOK_EVERY_S)
    finally:
        follower.close()


def print_records(records: Iterable[Record], *, as_json: bool) -> None:
    """Print each record on a line: as JSON, or for a person."""
    colour = colours_wanted()
    now = datetime.now().astimezone()
    for record in records:
        click.echo(
            json.dumps(record) if as_json else render_line(record, colour=colour, now=now),
            color=colour or None,
        )


def colours_wanted() -> bool:
    """Say whether stdout is a terminal whose user wants colours."""
    context = click.get_current_context(silent=True)
    refused = context is not None and context.color is False
    return sys.stdout.isatty() and not refused


def instant(text: str, now: datetime) -> datetime:
    """Read `10m` (that long ago) or an ISO time; one without a zone is local.

    Raises:
        Invalid: neither.
    """
    if match := re.fullmatch(r"(\d{1,6})\s*(s|m|min|h|d)", text.strip()):
        return now - timedelta(**{UNITS[match[2]]: int(match[1])})
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(f"--since {text!r} is no time; say 10m, 2h, 1d or 2030-01-31T12:00") from None
