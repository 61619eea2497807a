"""The programs of a fleet, each on its own: for systemd, containers and MCP clients.

They take the place of this process: who started the command holds the program itself, signals and all.
"""

import os
import sys

import click

from console.cli.homes import config_of, home_of
from console.cli.options import Options, command
from console.supervisor.keeper import python


@command("broker")
def broker(options: Options) -> None:
    """Run the broker alone, in the foreground, until SIGTERM. It makes a home that is missing."""
    home = home_of(options)
    config = config_of(options, home)
    become("broker", "--home", str(home.root), *(["--config", str(config)] if config else []))


@command("harness")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--takeover", is_flag=True, help="You have made sure that the harness before this one is dead.")
def harness(options: Options, names: tuple[str, ...], takeover: bool) -> None:
    """Run the harness alone, in the foreground, for the agents NAME or for all that have a backend."""
    home = home_of(options)
    become("harness", *names, "--home", str(home.root), *(["--takeover"] if takeover else []))


def become(module: str, *arguments: str) -> None:
    """Turn this process into a program of ours. Does not return."""
    sys.stdout.flush()
    os.execv(sys.executable, python(module, *arguments))  # noqa: S606  # no shell is meant
