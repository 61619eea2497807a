"""`queenpost search`: messages by words in their bodies."""

from collections.abc import Callable
from typing import Any

import anyio
import click

from console.cli.connecting import converse
from console.cli.options import Options, command
from console.cli.screen import bold, dim, note, print_json
from console.cli.times import ago, iso
from wire.client import BrokerClient
from wire.clock import SystemClock
from wire.finding import MARKS, Hit, InboxFound, InboxSearch

INDEXING_S = 600.0
"""How long a search may take that finds much mail not yet in the index; the next one goes on from there."""
SAY_AFTER_S = 1.0


@command("search")
@click.argument("words", nargs=-1, required=True, metavar="WORDS...")
@click.option("--agent", metavar="NAME", help="Only what this agent sent or received.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="Show no more than this.")
def search(options: Options, words: tuple[str, ...], agent: str | None, limit: int) -> None:
    """Find messages that hold all WORDS, best first.

    A phrase stands in double quotes of its own ('"red pump"'), a star stands for any ending ('pump*'). Case and
    accents make no difference. With --as, an agent finds what it sent or received.
    """
    request = InboxSearch(words=" ".join(words), agent=agent, limit=limit)
    found = converse(options, lambda client: _patiently(client, request))
    if options.json:
        print_json([hit_as_json(hit) for hit in found.hits])
        return
    if not found.hits:
        click.echo(f"no message holds {' '.join(words)}")
    for hit in found.hits:
        _print_hit(hit, options)
    if found.more:
        note(f"there is more; say more words, or --limit {min(limit * 10, 200)}")


async def _patiently(client: BrokerClient, request: InboxSearch) -> InboxFound:
    found: list[InboxFound] = []
    async with anyio.create_task_group() as group:
        group.start_soon(_say_if_it_takes_long)
        found.append(await client.call(request, InboxFound, timeout_s=INDEXING_S))
        group.cancel_scope.cancel()
    return found[0]


async def _say_if_it_takes_long() -> None:
    await anyio.sleep(SAY_AFTER_S)
    note("mail that came since the last search is read into the index…")


def hit_as_json(hit: Hit) -> dict[str, Any]:
    """Give one message that was found; its words stand in the snippet as they are."""
    return {
        "id": hit.id,
        "sender": hit.sender,
        "to": hit.to,
        "kind": hit.kind,
        "sent_at": iso(hit.sent_at_ms),
        "snippet": marked(hit.snippet, lambda word: word),
    }


def marked(snippet: str, mark: Callable[[str], str]) -> str:
    """Give a snippet on one line, with `mark` applied to each word that was looked for."""
    opens, closes = MARKS
    first, *rest = " ".join(snippet.split()).split(opens)
    pieces = [piece.partition(closes) for piece in rest]
    return first + "".join(f"{mark(word)}{behind}" for word, _, behind in pieces)


def _print_hit(hit: Hit, options: Options) -> None:
    sent = ago(hit.sent_at_ms, SystemClock().now_ms(), absolute=options.absolute)
    click.echo(f"{bold(hit.id)}  {hit.sender} → {hit.to}  {dim(sent)}")
    click.echo(f"    {marked(hit.snippet, lambda word: click.style(word, fg='yellow', bold=True))}")
