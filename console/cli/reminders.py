"""Reminders for people and scripts: set one, list what waits, take back, try again."""

import re
from typing import Any

import click

from console.cli.connecting import ask, converse
from console.cli.options import Options, command
from console.cli.screen import coloured, note, one_line, print_json, print_table, safe, terminal_width
from console.cli.times import ago, iso, maybe_iso
from wire.client import BrokerClient, new_key
from wire.clock import SystemClock
from wire.errors import Invalid
from wire.reminders import (
    Reminder,
    RemindersAdd,
    RemindersAdded,
    RemindersCancel,
    RemindersChanged,
    RemindersList,
    RemindersListed,
    RemindersRetry,
)

PAGE = 1000
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(s|min|m|h|d|w|)\s*")


class Duration(click.ParamType[float]):
    """A duration in seconds, as `90`, `10m` or `1h30m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if isinstance(value, int | float):
            return float(value)
        parts = _PART.findall(value)
        if not parts or _PART.sub("", value):
            self.fail(f"{value!r} is no duration; say 90, 10m, 2h, 1h30m or 7d", param, ctx)
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)


@command("remind")
@click.argument("text")
@click.option("--in", "delay_s", type=Duration(), metavar="10m", help="After so long: 90 (seconds), 10m, 2h, 7d.")
@click.option("--at", metavar="ISO", help="At an instant, such as 2030-01-31T09:00 or 2030-01-31T08:00:00Z.")
@click.option("--cron", metavar="LINE", help="Again and again: minute hour day month weekday, '0 9 * * 1-5'.")
@click.option("--zone", metavar="ZONE", help="For --at and --cron: Europe/Berlin and the like; else UTC.")
@click.option("--agent", metavar="NAME", help="Remind this agent instead of yourself.")
@click.option("--key", help="Name of this reminder: repeated with the same key, it is set once.")
def remind(
    options: Options,
    text: str,
    delay_s: float | None,
    at: str | None,
    cron: str | None,
    zone: str | None,
    agent: str | None,
    key: str | None,
) -> None:
    """Send TEXT as mail at a later time: once with --in or --at, again and again with --cron."""
    if sum(given is not None for given in (delay_s, at, cron)) != 1:
        raise click.UsageError("say when with exactly one of --in, --at and --cron")
    if not text:
        raise Invalid("the text is empty; say what the reminder is about")
    request = RemindersAdd(
        message=text, delay_s=delay_s, at=at, cron=cron, zone=zone, agent=agent, key=key or new_key()
    )
    added = ask(options, request, RemindersAdded)
    if options.json:
        print_json({"id": added.id, "next_at": iso(added.next_at_ms)})
        return
    when = ago(added.next_at_ms, SystemClock().now_ms(), absolute=options.absolute)
    click.echo(f"{added.id}: {'first ' if cron else ''}{when} ({iso(added.next_at_ms)})")


@command("reminders")
@click.option("--agent", metavar="NAME", help="Only those of this agent.")
@click.option("--all", "everything", is_flag=True, help="List also those that are over.")
@click.option("--cancel", multiple=True, metavar="ID...", help="Take these back.")
@click.option("--retry", multiple=True, metavar="ID...", help="Try these parked ones again.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="List no more than this.")
def reminders(
    options: Options,
    agent: str | None,
    everything: bool,
    cancel: tuple[str, ...],
    retry: tuple[str, ...],
    limit: int,
) -> None:
    """List the reminders that wait, the next one first. A parked one could not fire; WHY says what to mend."""
    if cancel or retry:
        changed = converse(options, lambda client: _change(client, cancel, retry))
        _print_changed(options, changed)
        return
    listed, more = converse(options, lambda client: _pages(client, agent, everything, limit))
    if options.json:
        print_json([reminder_as_json(one) for one in listed])
        return
    _print(options, listed)
    if more:
        note(f"there is more; --limit {limit * 10} shows it")


async def _change(client: BrokerClient, cancel: tuple[str, ...], retry: tuple[str, ...]) -> list[Reminder]:
    """One after the other; the first refusal ends it, and what came before it stays changed."""
    requests = [
        *(RemindersCancel(reminder=one, key=new_key()) for one in dict.fromkeys(cancel)),
        *(RemindersRetry(reminder=one, key=new_key()) for one in dict.fromkeys(retry)),
    ]
    return [(await client.call(request, RemindersChanged)).reminder for request in requests]


def _print_changed(options: Options, changed: list[Reminder]) -> None:
    if options.json:
        print_json([reminder_as_json(one) for one in changed])
        return
    for one in changed:
        click.echo(f"{one.id}: {'tried again' if one.state == 'pending' else coloured(one.state)}")


async def _pages(client: BrokerClient, agent: str | None, everything: bool, limit: int) -> tuple[list[Reminder], bool]:
    found: list[Reminder] = []
    more = True
    while more and len(found) < limit:
        after = found[-1].id if found else None
        size = min(limit - len(found), PAGE)
        page = await client.call(RemindersList(agent=agent, all=everything, after=after, limit=size), RemindersListed)
        # A page may be short of its limit: the broker counts bytes too.
        found, more = found + page.reminders, page.more and bool(page.reminders)
    return found, more


def reminder_as_json(one: Reminder) -> dict[str, Any]:
    """Give one reminder in its stable shape."""
    return {
        "id": one.id,
        "agent": one.agent,
        "message": one.message,
        "state": one.state,
        "next_at": maybe_iso(one.next_at_ms),
        "cron": one.cron,
        "zone": one.zone,
        "fired": one.fired,
        "attempts": one.attempts,
        "reason": one.reason,
        "broken": one.broken,
    }


def _print(options: Options, listed: list[Reminder]) -> None:
    if not listed:
        click.echo("no reminders wait")
        return
    now_ms = SystemClock().now_ms()
    rows = [
        [
            one.id,
            one.agent,
            "" if one.next_at_ms is None else ago(one.next_at_ms, now_ms, absolute=options.absolute),
            safe(f"{one.cron} {one.zone}") if one.cron else "",
            coloured(one.state),
            one_line(one.reason or "", 40),
            _excerpt(one),
        ]
        for one in listed
    ]
    print_table(["ID", "AGENT", "NEXT", "CRON", "STATE", "WHY", "TEXT"], rows)


def _excerpt(one: Reminder) -> str:
    if one.broken:
        return click.style("[broken: does not match its checksum]", fg="red")
    return one_line(one.message, max(terminal_width() - 90, 40))
