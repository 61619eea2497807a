"""`queenpost doctor`: looks at installation, home, broker and fleet, and says what mends what it finds."""

from collections.abc import Iterator
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import click

from console.cli.connecting import converse
from console.cli.homes import broker_of, config_of, home_of
from console.cli.options import Options, command
from console.cli.screen import dim, print_json, safe
from console.doctor import accounts, broker, fleet, home, installation
from console.doctor import mqtt as mqtt_checks
from console.doctor.verdict import Level, Verdict
from wire.client import BrokerClient
from wire.errors import QueenpostError
from wire.fleet import FleetPing, FleetPong, FleetState, FleetStatus
from wire.job_probe import JobsProbe, JobsProbed
from wire.office import FleetProbe, FleetProbed
from wire.settings import Limits

TRIPS = 5
CARRIED_S = 60.0
"""Far more than the bounds of the probe's steps together."""
LEVELS: tuple[Level, ...] = ("error", "warning", "note", "ok")
COLOURS: dict[Level, str] = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}
LEVEL_WIDTH = max(map(len, LEVELS))
CHECK_WIDTH = 16


@command("doctor")
@click.option("--mqtt", is_flag=True, help="Start the fleet's own MQTT broker, where no job has done so, and prove it.")
def doctor(options: Options, mqtt: bool) -> None:
    """Check that all works, by a real write, a real wake and a signed event; each finding with what mends it.

    Without a broker, what can be checked without one. Exits with 1 if something does not work; warnings and
    notes are none of that.
    """
    verdicts: list[Verdict] = []
    for verdict in _checks(options, start_mqtt=mqtt):
        verdicts.append(verdict)
        if not options.json:
            _print(verdict)
    if options.json:
        print_json([verdict_as_json(verdict) for verdict in verdicts])
    else:
        click.echo()
        click.echo(summary(verdicts))
    if any(verdict.level == "error" for verdict in verdicts):
        raise click.exceptions.Exit(1)


def verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    """Give one finding in its stable shape."""
    return {"check": verdict.check, "level": verdict.level, "says": verdict.says, "mend": verdict.mend}


def _checks(options: Options, *, start_mqtt: bool) -> Iterator[Verdict]:
    yield from installation.checks()
    if broker_of(options) is None:
        try:
            place = home_of(options)
            place.check()
            config = config_of(options, place)
            yield from home.checks(place, config)
            yield from accounts.checks(place, config)
        except QueenpostError as exc:
            yield Verdict("home", "error", exc.message)
            return
    try:
        answers = converse(options, partial(_asked, start_mqtt=start_mqtt))
    except QueenpostError as exc:
        yield Verdict("broker", "error", exc.message, "queenpost up -d" if exc.code == "unavailable" else None)
        return
    if broker_of(options) is not None and isinstance(answers.probed, FleetProbed):
        yield home.disk(answers.probed.disk_free_bytes, Limits())
    yield from broker.checks(answers, installation.client_version())
    yield from mqtt_checks.checks(answers.carried)
    yield from fleet.checks(answers.state)


async def _asked(client: BrokerClient, *, start_mqtt: bool) -> broker.Answers:
    trips: list[float] = []
    for _ in range(TRIPS):
        started = perf_counter()
        await client.call(FleetPing(), FleetPong)
        trips.append((perf_counter() - started) * 1000)
    try:
        probed: FleetProbed | QueenpostError = await client.call(FleetProbe(), FleetProbed)
    except QueenpostError as exc:
        probed = exc
    try:
        request = JobsProbe(start=start_mqtt)
        carried: JobsProbed | QueenpostError = await client.call(request, JobsProbed, timeout_s=CARRIED_S)
    except QueenpostError as exc:
        carried = exc
    return broker.Answers(median(trips), await client.call(FleetStatus(), FleetState), probed, carried)


def _print(verdict: Verdict) -> None:
    level = click.style(verdict.level.ljust(LEVEL_WIDTH), fg=COLOURS[verdict.level])
    gap = " " * (LEVEL_WIDTH + CHECK_WIDTH + 4)
    says = safe(verdict.says).replace("\n", f"\n{gap}")
    click.echo(f"{level}  {verdict.check.ljust(CHECK_WIDTH)}  {says}")
    if verdict.mend:
        click.echo(f"{gap}{dim('→ ')}{safe(verdict.mend)}")


def summary(verdicts: list[Verdict]) -> str:
    """Say in one line how it is."""
    found: list[str] = []
    for level in LEVELS:
        number = sum(1 for verdict in verdicts if verdict.level == level)
        if number:
            many = "s" if number > 1 and level != "ok" else ""
            found.append(click.style(f"{number} {level}{many}", fg=COLOURS[level]))
    return " · ".join(found)
