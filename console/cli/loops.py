"""`queenpost agent restart` and `wake-test`: an agent's turn loop, started anew or proven to wake for mail."""

import anyio
import click

from console.cli.connecting import ask, converse
from console.cli.failing import Refused
from console.cli.options import Options, command
from console.cli.screen import note, print_json, safe
from wire import agents as ops
from wire.client import BrokerClient, new_key
from wire.inbox import DeliveryStory, InboxExplain, InboxExplained, InboxSend, InboxSent

LOOK_EVERY_S = 0.2
WORDS = "This is a wake test by the operator. There is nothing to do and nothing to answer: end your turn."


@command("restart")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--now", is_flag=True, help="In the middle of the turn; its mail goes back uncounted.")
@click.option("--fresh", is_flag=True, help="Begin a new session of the program: the model forgets the one it has.")
def restart(options: Options, names: tuple[str, ...], now: bool, fresh: bool) -> None:
    """Start the programs of these agents anew, each behind the turn that runs; they go on with their sessions.

    Their harness does it: at once, or as soon as its link is back. Where no harness holds the agent, it is refused.
    """
    for name in names:
        request = ops.AgentsRestart(agent=name, now=now, fresh=fresh, key=new_key())
        told = ask(options, request, ops.AgentsChanged)
        if options.json:
            print_json({"agent": told.agent, "changed": told.changed})
        else:
            when = "now" if now else "now, or behind the turn that runs"
            click.echo(f"{told.agent} starts anew {when}{', with a new session' if fresh else ''}")


@command("wake-test")
@click.argument("name")
@click.option("--turn", is_flag=True, help="Send it a message and see it handled: a real turn, with a model call.")
@click.option(
    "--within", type=click.FloatRange(min=1), default=120.0, show_default=True, help="Seconds that --turn may take."
)
def wake_test(options: Options, name: str, turn: bool, within: float) -> None:
    """Prove that agent NAME wakes for mail. No model is called, unless --turn is given.

    The wait for mail of its turn loop is ended, and the loop has to come back for the next: broker, link and harness
    are shown to work, the program that plays the model is not. Exit 1 where nothing could be shown, with the reason.
    """
    woken = ask(options, ops.AgentsWakeTest(agent=name), ops.AgentsWoken)
    handled_s = _real_turn(options, name, within) if turn and woken.woken else None
    if options.json:
        print_json({**woken.model_dump(), "handled_s": handled_s})
    elif woken.woken:
        click.echo(f"{woken.agent} wakes: its loop came back in {woken.wake_ms or 0:.1f} ms")
        if handled_s is not None:
            click.echo(f"and it handled a message in {handled_s:.1f} s")
        else:
            note("no model was called; --turn sends it a message and shows that its program works too")
    if not woken.woken:
        state, reason = woken.state.replace("_", " "), safe(woken.reason) or "it does not say why"
        raise Refused("unavailable", f"{woken.agent} was not woken, it is {state}: {reason}")


def _real_turn(options: Options, name: str, within_s: float) -> float:
    """Give the seconds from the acceptance of a message to the end of the turn that handled it.

    Raises:
        Refused: it was not handled, or not in time.
    """

    async def talk(client: BrokerClient) -> float:
        started_s = anyio.current_time()
        sent = await client.call(InboxSend(to=name, body=WORDS, key=new_key()), InboxSent)
        copy = await _settled(options, client, sent.id, within_s)
        if copy.state != "handled":
            raise Refused(
                "unavailable",
                f"{sent.id} is {copy.state.replace('_', ' ')} after {within_s:.0f} s; `queenpost explain {sent.id}` "
                f"and `queenpost agent tail {name}` say more, `queenpost recall {sent.id}` takes it back",
            )
        return anyio.current_time() - started_s

    return converse(options, talk)


async def _settled(options: Options, client: BrokerClient, message: str, within_s: float) -> DeliveryStory:
    last = ""
    until_s = anyio.current_time() + within_s
    while True:
        story = await client.call(InboxExplain(message=message), InboxExplained)
        copy = story.deliveries[0]
        now = f"{message} {copy.state.replace('_', ' ')}{f' {copy.turn}' if copy.turn else ''}"
        if now != last and not options.json:
            note(now)
        last = now
        if copy.state not in ("queued", "in_turn") or anyio.current_time() > until_s:
            return copy
        await anyio.sleep(LOOK_EVERY_S)
