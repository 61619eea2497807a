"""`queenpost logs`: what the programs of a fleet did, merged by time; on a terminal one clear line each."""

import json
import sys
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import anyio
import click

from console.cli.connecting import name_fleet
from console.cli.homes import home_of, name_of
from console.cli.kinds import Instant, Like
from console.cli.options import Options, command
from console.log_files import Follower, Record, read_all
from console.log_filters import LEVELS, Filter
from wire.ids import AGENT_NAME_PATTERN
from wire.logs import render_line

LOOK_EVERY_S = 0.2


@command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on; Ctrl-C ends it.")
@click.option("-n", "--lines", type=click.IntRange(0), default=100, show_default=True, help="No more than the last N.")
@click.option(
    "--program",
    "programs",
    multiple=True,
    type=click.Choice(["broker", "harness", "up"]),
    help="Only this program; may be given more than once.",
)
@click.option(
    "--agent", metavar="NAME", type=Like(AGENT_NAME_PATTERN, "the name of an agent"), help="Only what concerns it."
)
@click.option("--turn", metavar="ID", type=Like(r"t[1-9]\d*", "t7"), help="Only this turn.")
@click.option("--message", metavar="ID", type=Like(r"m[1-9]\d*", "m12"), help="Only this message.")
@click.option("--level", type=click.Choice(LEVELS), help="Only what is that grave, or graver.")
@click.option("--event", metavar="NAME", type=Like(r"[\w*?-]+", "turn_opened or turn_*"), help="Only this event.")
@click.option("--grep", metavar="TEXT", help="Only lines with this text in them.")
@click.option("--since", metavar="WHEN", type=Instant(), help="All from then on: 30s, 10m, 2h, 1d ago, or an ISO time.")
def logs(
    options: Options, follow: bool, lines: int, programs: tuple[str, ...], since: datetime | None, **wanted: Any
) -> None:
    """Read the logs of the fleet. With --json each line is the record as it stands in the file.

    What is given has to hold together. --since shows everything from then on; without it, the last lines.
    """
    home = home_of(options)
    if not options.json:
        name_fleet(name_of(options, home), home.root)
    start = since.isoformat(timespec="milliseconds") if since else None
    chosen = Filter(since=start, **wanted)
    # Followed from before the reading, so that nothing falls between the two.
    follower = Follower(home.logs, programs) if follow else None
    records = chosen.matching(read_all(home.logs, programs))
    print_records(records if since else deque(records, maxlen=lines), as_json=options.json)
    if follower is not None:
        anyio.run(_follow, follower, chosen, options.json)


async def _follow(follower: Follower, chosen: Filter, as_json: bool) -> None:
    try:
        while True:
            print_records(chosen.matching(follower.new()), as_json=as_json)
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
