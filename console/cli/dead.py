"""Dead letters: mail that failed too often, or lost its recipient. Only the operator moves it."""

from typing import Any

import click

from console.cli.connecting import ask
from console.cli.inbox import excerpt
from console.cli.options import Options, command, group
from console.cli.screen import one_line, print_json, print_table
from console.cli.times import ago, iso
from wire.client import new_key
from wire.clock import SystemClock
from wire.inbox import InboxChanged, InboxDead, InboxDiscard, InboxListed, InboxRequeue, Item


@group("dead")
def dead() -> None:
    """List dead letters; requeue or discard them."""


@command("list", of=dead)
@click.option("--agent", metavar="NAME", help="Only the dead letters to this agent.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="List no more than this.")
def list_dead(options: Options, agent: str | None, limit: int) -> None:
    """List the dead letters that nobody discarded."""
    listed = ask(options, InboxDead(agent=agent, limit=limit), InboxListed)
    if options.json:
        print_json([dead_as_json(item) for item in listed.items])
        return
    print_letters(options, listed.items, "no dead letters")


def print_letters(options: Options, items: list[Item], none: str, *, why: int = 40) -> None:
    """Print letters that wait for the operator, each with `why` columns of its reason; `none` where there are none."""
    if not items:
        click.echo(none)
        return
    now_ms = SystemClock().now_ms()
    rows = [
        [
            item.id,
            item.sender,
            item.recipient,
            ago(item.sent_at_ms, now_ms, absolute=options.absolute),
            one_line(item.reason or "", why),
            excerpt(item),
        ]
        for item in items
    ]
    print_table(["ID", "FROM", "TO", "SENT", "WHY", "MESSAGE"], rows)


def dead_as_json(item: Item) -> dict[str, Any]:
    """Give one dead letter."""
    return {
        "id": item.id,
        "sender": item.sender,
        "recipient": item.recipient,
        "body": item.body,
        "in_reply_to": item.in_reply_to,
        "sent_at": iso(item.sent_at_ms),
        "attempt": item.attempt,
        "failures": item.failures,
        "reason": item.reason,
    }


@command("requeue", of=dead)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--recipient", metavar="NAME", help="Only this recipient's copy of a broadcast.")
def requeue(options: Options, ids: tuple[str, ...], recipient: str | None) -> None:
    """Give dead letters back to their recipients, with new tries, under the same ids."""
    changed = ask(options, InboxRequeue(ids=list(ids), recipient=recipient, key=new_key()), InboxChanged)
    tell_changed(options, "requeued", changed)


@command("discard", of=dead)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--recipient", metavar="NAME", help="Only this recipient's copy of a broadcast.")
def discard(options: Options, ids: tuple[str, ...], recipient: str | None) -> None:
    """Take dead letters off the list. They stay dead, and `explain` still knows them."""
    changed = ask(options, InboxDiscard(ids=list(ids), recipient=recipient, key=new_key()), InboxChanged)
    tell_changed(options, "discarded", changed)


def tell_changed(options: Options, verb: str, changed: InboxChanged) -> None:
    """Say which letters were moved."""
    if options.json:
        print_json({"changed": changed.changed})
    else:
        click.echo(f"{verb}: {', '.join(changed.changed)}")
