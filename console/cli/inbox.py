"""Mail for people and scripts: send it, list a mailbox, mark the operator's mail as read.

Taking an agent's mail is in `console.cli.recv`, the story of one message in `console.cli.explain`.
"""

import sys
from typing import Any

import click

from console.cli.connecting import OPERATOR, ask, converse
from console.cli.options import Options, command
from console.cli.screen import coloured, dim, note, one_line, print_json, print_table, terminal_width, warn
from console.cli.times import ago, iso
from wire.client import BrokerClient, new_key
from wire.clock import SystemClock
from wire.errors import Invalid
from wire.inbox import InboxAck, InboxAcked, InboxList, InboxListed, InboxSend, InboxSent, Item

PAGE = 1000


@command("send")
@click.argument("to")
@click.argument("body")
@click.option("--reply-to", metavar="ID", help="The message that this one answers.")
@click.option("--key", help="Name of this send: repeated with the same key, it is accepted once.")
@click.option("--now", is_flag=True, help="Interrupt the turn that runs: its mail comes again behind this.")
def send(options: Options, to: str, body: str, reply_to: str | None, key: str | None, now: bool) -> None:
    """Send BODY to an agent, to manager, to operator or, with '*', to everyone. BODY - reads stdin.

    The answer means accepted and on disk, not yet handled: `queenpost explain ID` tells how it goes on.
    """
    request = InboxSend(to=to, body=body_of(body), in_reply_to=reply_to, now=now or None, key=key or new_key())
    sent = ask(options, request, InboxSent)
    if options.json:
        print_json(sent_as_json(sent))
        return
    click.echo(f"{sent.id} to {_reached(sent)}: {coloured(sent.state)}{_again(sent)}")
    for skipped in sent.skipped:
        warn(f"{skipped.name} was left out: {skipped.reason}")
    for warning in sent.warnings:
        warn(warning)


def body_of(word: str) -> str:
    """Give a text as it was typed, or stdin's for `-`.

    Raises:
        Invalid: it is empty, or no text.
    """
    data = sys.stdin.buffer.read() if word == "-" else word.encode(errors="surrogateescape")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8 text; put it into a file and send the file's path") from None
    if not text:
        raise Invalid("the body is empty; say something")
    return text


def _reached(sent: InboxSent) -> str:
    names = ", ".join(sent.recipients)
    return names if not names or names == sent.to else f"{sent.to} ({names})"


def _again(sent: InboxSent) -> str:
    return dim("  (accepted before, under this key)") if sent.duplicate else ""


def sent_as_json(sent: InboxSent) -> dict[str, Any]:
    """Give a receipt in its stable shape; a broadcast has two fields more."""
    answer: dict[str, Any] = {
        "id": sent.id,
        "to": sent.to,
        "state": sent.state,
        "warnings": sent.warnings,
    }
    if sent.to == "*":
        skipped = [{"name": one.name, "reason": one.reason} for one in sent.skipped]
        answer |= {"recipients": sent.recipients, "skipped": skipped}
    return answer


@command("inbox")
@click.argument("name", required=False)
@click.option("--ack", multiple=True, metavar="ID...", help="Mark this operator mail as read.")
@click.option("--all", "ack_all", is_flag=True, help="Mark all operator mail as read.")
@click.option("--settled", is_flag=True, help="List also what was read, handled, dead or expired.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="List no more than this.")
def inbox(options: Options, name: str | None, ack: tuple[str, ...], ack_all: bool, settled: bool, limit: int) -> None:
    """List the mail that waits for NAME, the operator's if nobody is named. Listing marks nothing as read."""
    mailbox = name or options.as_ or OPERATOR
    if ack or ack_all:
        _mark_read(options, mailbox, ack, ack_all)
        return
    items, more = converse(options, lambda client: _pages(client, mailbox, settled, limit))
    if options.json:
        print_json([item_as_json(item) for item in items])
        return
    _print_items(options, mailbox, items)
    if more:
        note(f"there is more; --limit {limit * 10} shows it")


def _mark_read(options: Options, mailbox: str, ids: tuple[str, ...], everything: bool) -> None:
    if mailbox != OPERATOR:
        raise Invalid(f"only the operator's mail is marked as read; {mailbox}'s is handled by its turns")
    acked = ask(options, InboxAck(ids=list(ids), all=everything, key=new_key()), InboxAcked)
    if options.json:
        print_json({"ids": acked.ids})
    else:
        click.echo(f"read: {', '.join(acked.ids) or 'nothing was unread'}")


async def _pages(client: BrokerClient, mailbox: str, settled: bool, limit: int) -> tuple[list[Item], bool]:
    items: list[Item] = []
    more = True
    while more and len(items) < limit:
        after = items[-1].id if items else None
        size = min(limit - len(items), PAGE)
        page = await client.call(InboxList(agent=mailbox, all=settled, after=after, limit=size), InboxListed)
        # A page may be short of its limit: the broker counts bytes too.
        items, more = items + page.items, page.more and bool(page.items)
    return items, more


def item_as_json(item: Item) -> dict[str, Any]:
    """Give one delivery of a listing in its stable shape; one to an agent has its state too."""
    shown: dict[str, Any] = {
        "id": item.id,
        "sender": item.sender,
        "body": item.body,
        "in_reply_to": item.in_reply_to,
        "sent_at": iso(item.sent_at_ms),
    }
    if item.recipient != OPERATOR:
        shown |= {"state": item.state, "turn": item.turn, "attempt": item.attempt}
    return shown


def _print_items(options: Options, mailbox: str, items: list[Item]) -> None:
    if not items:
        click.echo(f"no mail waits for {mailbox}")
        return
    now_ms = SystemClock().now_ms()
    rows = [
        [
            item.id,
            item.sender,
            ago(item.sent_at_ms, now_ms, absolute=options.absolute),
            item.in_reply_to or "",
            state_words(item),
            excerpt(item),
        ]
        for item in items
    ]
    print_table(["ID", "FROM", "SENT", "RE", "STATE", "MESSAGE"], rows)
    note("`queenpost explain ID --full` shows a whole message")


def state_words(item: Item) -> str:
    """Say where a delivery stands: `in turn t4`, `handled in turn t4`, `queued`."""
    in_mailbox = item.recipient == OPERATOR
    if in_mailbox and item.state in {"queued", "handled"}:
        return coloured(item.state, "unread" if item.state == "queued" else "read")
    words = item.state.replace("_", " ")
    if item.state == "in_turn" and item.turn:
        words = f"in turn {item.turn}"
    if item.state == "handled" and item.turn:
        words = f"handled in turn {item.turn}"
    return coloured(item.state, words)


def excerpt(item: Item) -> str:
    """Show the beginning of a body, as wide as the terminal allows."""
    if item.broken:
        return click.style("[broken: does not match its checksum]", fg="red")
    return one_line(item.body, max(terminal_width() - 60, 40))
