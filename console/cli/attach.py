"""`queenpost agent attach`: an agent's own session, at this terminal."""

import click

from console.cli.homes import home_of
from console.cli.options import Options, command
from console.cli.programs import become


@command("attach")
@click.argument("name")
@click.option(
    "--interrupt", is_flag=True, help="Do not wait for the turn that runs: end it; its mail goes back uncounted."
)
@click.option("--fork", is_flag=True, help="Open a copy, at once; the agent goes on, and never learns of it.")
def attach(options: Options, name: str, interrupt: bool, fork: bool) -> None:
    """Open the session of agent NAME in its own program, at this terminal; leave the program to hand it back.

    It waits for the turn that runs. Meanwhile no other one opens and mail collects; the agent then goes on with what
    was said here. Its program has its tools and its login. It runs on the machine of the agent's harness.
    """
    home = home_of(options)
    wishes = [flag for flag, wanted in (("--interrupt", interrupt), ("--fork", fork)) if wanted]
    become("harness.attach", name, "--home", str(home.root), *wishes)
