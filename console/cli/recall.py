"""`queenpost recall`: take back mail that nobody has leased."""

import click

from console.cli.connecting import ask
from console.cli.options import Options, command
from console.cli.screen import coloured, print_json, print_table, warn
from wire.client import new_key
from wire.letters import InboxRecall, InboxRecalled


@command("recall")
@click.argument("message", metavar="ID")
@click.option("--descendants", is_flag=True, help="Also what was sent in turns that held it, and so on (operator).")
def recall(options: Options, message: str, descendants: bool) -> None:
    """Take message ID back wherever no turn has had it; there it becomes dead. What is beyond recall is listed.

    The operator recalls any message, an agent (--as NAME) what it sent. `queenpost freeze` first stops who is at it.
    """
    told = ask(options, InboxRecall(message=message, descendants=descendants, key=new_key()), InboxRecalled)
    if options.json:
        print_json(told.model_dump(include={"recalled", "beyond", "more"}))
        return
    click.echo(f"recalled: {', '.join(told.recalled) or 'nothing, no copy was still waiting'}")
    if told.beyond:
        click.echo("beyond recall:")
        rows = [[one.id, one.recipient, coloured(one.state, _words(one.state, one.turn))] for one in told.beyond]
        print_table(["ID", "TO", "STATE"], rows)
    if told.more:
        warn("there is more than one recall looks at; `queenpost freeze`, then recall from further down")


def _words(state: str, turn: str | None) -> str:
    words = state.replace("_", " ")
    if turn is None:
        return words
    return f"in turn {turn}" if state == "in_turn" else f"{words} in turn {turn}"
