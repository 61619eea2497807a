"""`queenpost recv`: take an agent's mail into an attended turn, print it, and only then call it handled."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import click

from console.cli.connecting import connected
from console.cli.options import Options, command
from console.cli.screen import bold, dim, note, print_json, safe, warn
from console.cli.times import ago, iso
from wire.agents import AgentsAttach, AgentsAttached, AgentsChanged, AgentsDetach
from wire.client import BrokerClient, new_instance, new_key
from wire.clock import SystemClock
from wire.errors import Invalid, QueenpostError
from wire.inbox import InboxPeek, InboxPeeked, Mail
from wire.turns import MAX_WAIT_S, TurnsClose, TurnsClosed, TurnsTake, TurnsTaken

GOODBYE_S = 2.0
"""How long the end may take when something went wrong; the end of the connection gives the mail back too."""


@command("recv")
@click.option("--wait", "wait_s", type=click.FloatRange(0), default=0.0, metavar="S", help="Wait so long for mail.")
@click.option("--max", "most", type=click.IntRange(1, 32), default=1, show_default=True, help="Take up to so many.")
@click.option("--peek", is_flag=True, help="Show what waits and take nothing.")
def recv(options: Options, wait_s: float, most: int, peek: bool) -> None:
    """Take the mail of the agent that --as names: print it, then report it as handled.

    Should printing fail, or the command be interrupted before, the mail goes back and is handed out again.
    An agent that a harness works for is refused: its turns take its mail.
    """
    if options.as_ is None:
        raise click.UsageError("whose mail? Name the agent with --as NAME; yours is in `queenpost inbox`")
    if getattr(sys, "stdout") is None:  # noqa: B009  # so it is when it was closed, whatever its type says
        raise Invalid("stdout is closed: there is nowhere to print the mail, so none was taken")
    if wait_s > MAX_WAIT_S:
        warn(f"waits {MAX_WAIT_S:.0f} s, not {wait_s:g}: that is the longest")
    anyio.run(_peek if peek else _take, options, options.as_, most, min(wait_s, MAX_WAIT_S))


async def _peek(options: Options, name: str, most: int, _: float) -> None:
    async with connected(options) as client:
        peeked = await client.call(InboxPeek(max=most), InboxPeeked)
        _show(options, name, None, peeked.mail, peeked.waiting - len(peeked.mail))


async def _take(options: Options, name: str, most: int, wait_s: float) -> None:
    async with connected(options) as client, _attached(client, name):
        taken = await client.call(TurnsTake(max=most, wait_s=wait_s, call=new_key()), TurnsTaken)
        _show(options, name, taken.turn, taken.mail, taken.waiting)
        if taken.open_asks:
            note(f"asked before and not answered: `queenpost --as {name} asks --to-me` lists {len(taken.open_asks)}")
        # From here on the mail is in the caller's hands: a lost answer means that it may come twice.
        if taken.turn is not None:
            await client.call(TurnsClose(turn=taken.turn, outcome="completed"), TurnsClosed)


@asynccontextmanager
async def _attached(client: BrokerClient, name: str) -> AsyncGenerator[None]:
    """Work for the agent during the body; leaving gives back whatever no completed turn has settled."""
    await client.call(AgentsAttach(agent=name, instance=new_instance()), AgentsAttached)
    try:
        yield
    finally:
        with anyio.move_on_after(GOODBYE_S, shield=True):
            try:
                await client.call(AgentsDetach(agent=name), AgentsChanged)
            except QueenpostError as exc:
                note(f"could not say goodbye to the broker: {exc.message}")


def _show(options: Options, name: str, turn: str | None, mail: list[Mail], waiting: int) -> None:
    if options.json:
        print_json({"turn": turn, "mail": [mail_as_json(one) for one in mail], "waiting": max(waiting, 0)})
    else:
        now_ms = SystemClock().now_ms()
        click.echo("\n\n".join(_letter(one, now_ms, options.absolute) for one in mail), nl=bool(mail))
    sys.stdout.flush()
    if not options.json:
        note(f"{'no mail' if not mail else 'nothing more' if waiting <= 0 else f'{waiting} more'} for {name}")


def _letter(mail: Mail, now_ms: int, absolute: bool) -> str:
    about = [f"from {mail.sender} ({mail.kind})", ago(mail.sent_at_ms, now_ms, absolute=absolute)]
    if mail.in_reply_to:
        about.append(f"in reply to {mail.in_reply_to}")
    if mail.broadcast:
        about.append("to everyone")
    if mail.about and mail.about.ask:
        about.append(f"{_PARTS[mail.about.part or 'end']} {mail.about.ask}")
    if mail.attempt > 1:
        about.append(f"attempt {mail.attempt}: may already be handled in part")
    return f"{bold(mail.id)}  {dim(' · '.join(about))}\n{safe(mail.body)}"


_PARTS = {"question": "asks", "answer": "answers", "end": "ends"}


def mail_as_json(mail: Mail) -> dict[str, Any]:
    """Give one message as it was handed over."""
    return {
        "id": mail.id,
        "sender": mail.sender,
        "kind": mail.kind,
        "body": mail.body,
        "in_reply_to": mail.in_reply_to,
        "sent_at": iso(mail.sent_at_ms),
        "broadcast": mail.broadcast,
        "attempt": mail.attempt,
        **({"about": mail.about.model_dump(exclude_defaults=True)} if mail.about else {}),
    }
