"""`queenpost prompt`: the exact text that a model gets."""

import click

from console.cli.connecting import ask
from console.cli.homes import home_of
from console.cli.options import Options, command, group
from console.cli.programs import become
from wire.agents import AgentsShow, AgentsShown


@group("prompt")
def prompt() -> None:
    """Show the words with which an agent is woken, and what changed in them."""


@command("show", of=prompt)
@click.argument("agent", metavar="NAME")
@click.option("--next", "further", is_flag=True, help="As a further turn of the same session is told.")
def show(options: Options, agent: str, further: bool) -> None:
    """Print the prompt of a turn that agent NAME would get now, with the mail that waits. It takes nothing."""
    _preview(options, agent, *(["--next"] if further else []))


@command("diff", of=prompt)
@click.argument("agent", metavar="NAME")
def diff(options: Options, agent: str) -> None:
    """Print how what agent NAME is told first differs from what it was told last: role prompt, roster, our words."""
    _preview(options, agent, "--diff")


def _preview(options: Options, agent: str, *more: str) -> None:
    home = home_of(options)
    shown = ask(options, AgentsShow(agent=agent), AgentsShown)
    role = shown.settings.prompt
    named = ["--role-prompt", str(home.root / role)] if role else []
    most = ["--notes-max-bytes", str(shown.settings.notes_max_bytes)]
    become("harness.preview", agent, "--home", str(home.root), *named, *most, *more)
