"""Held mail: kept back by the storm guard, by damage, by too many restarts. Only the operator moves it."""

from typing import Any

import click

from console.cli.connecting import ask
from console.cli.dead import print_letters, tell_changed
from console.cli.options import Options, command, group
from console.cli.screen import note, print_json
from console.cli.times import iso
from wire.client import new_key
from wire.inbox import InboxChanged, InboxDiscard, InboxListed, Item
from wire.letters import InboxHeld, InboxRelease

WHY = 100
"""Columns for the reason: it is what the operator decides by."""


@group("held")
def held() -> None:
    """List held mail; release or discard it."""


@command("list", of=held)
@click.option("--agent", metavar="NAME", help="Only the held mail to this agent.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="List no more than this.")
def list_held(options: Options, agent: str | None, limit: int) -> None:
    """List the mail that waits for a decision of the operator, and why."""
    listed = ask(options, InboxHeld(agent=agent, limit=limit), InboxListed)
    if options.json:
        print_json([held_as_json(item) for item in listed.items])
        return
    print_letters(options, listed.items, "no mail is held", why=WHY)
    if listed.more:
        note("there is more; release or discard some, or raise --limit")


def held_as_json(item: Item) -> dict[str, Any]:
    """Give one held letter; a broken one has no body."""
    return {
        "id": item.id,
        "sender": item.sender,
        "recipient": item.recipient,
        "body": item.body,
        "in_reply_to": item.in_reply_to,
        "sent_at": iso(item.sent_at_ms),
        "reason": item.reason,
        "broken": item.broken,
    }


@command("release", of=held)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--recipient", metavar="NAME", help="Only this recipient's copy of a broadcast.")
def release(options: Options, ids: tuple[str, ...], recipient: str | None) -> None:
    """Let held mail go on, under the same ids, at the end of the inbox; its pair gets a fresh budget."""
    changed = ask(options, InboxRelease(ids=list(ids), recipient=recipient, key=new_key()), InboxChanged)
    tell_changed(options, "released", changed)


@command("discard", of=held)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--recipient", metavar="NAME", help="Only this recipient's copy of a broadcast.")
def discard(options: Options, ids: tuple[str, ...], recipient: str | None) -> None:
    """Let held mail become dead. `explain` still knows it; nobody is told."""
    changed = ask(options, InboxDiscard(ids=list(ids), recipient=recipient, key=new_key()), InboxChanged)
    tell_changed(options, "discarded", changed)
