"""`queenpost claude` and `queenpost codex`: the user's own interactive program, opened as an agent of the fleet."""

import os
import shutil
import sys
from functools import partial
from pathlib import Path

import anyio
import click

from console.cli.connecting import name_fleet
from console.cli.failing import AnotherBroker
from console.cli.homes import broker_of, config_of, home_of, name_of
from console.cli.options import Options, command
from console.cli.screen import bold, note, warn
from console.cli.up import listens, start_detached
from console.session.app import Ended, Plan, run
from console.session.opening import KINDS, Kind, check_words
from console.session.terminal import has_terminal
from console.supervisor.app import UpSettings
from wire.errors import Invalid
from wire.home import Home


def _opens(kind: Kind) -> click.Command:
    @command(kind.name, help=_HELP.format(kind=kind, variable=_variable(kind)))
    @click.option("--name", metavar="NAME", help=f"The agent to be; else the first free one of {kind.name}-1, …-2.")
    @click.option(
        "--program",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help=f"The program itself; else ${_variable(kind)}, or the one on PATH.",
    )
    @click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS]...")
    def opens(options: Options, name: str | None, program: Path | None, words: tuple[str, ...]) -> None:
        _open(options, kind, name, program, words)

    return opens


_HELP = """Open your own {kind.title} as an agent of the fleet, with your login and your settings.

It has the fleet's mail tools for this session and is {kind.wakes}. No file of yours is changed. A fleet that does not
run is started, as by `queenpost up -d`. What the session has not finished when it ends comes again when it is opened
under the same name. ARGS go to the program; ${variable} names another one than that on PATH.
"""


def _open(options: Options, kind: Kind, name: str | None, program: Path | None, words: tuple[str, ...]) -> None:
    if broker_of(options) is not None:
        raise Invalid("a session is opened on the machine of its broker: leave --broker and $QUEENPOST_BROKER out")
    if not has_terminal():
        raise Invalid(
            f"there is no terminal: {kind.title} would have nobody to talk to. For an agent that works by itself, "
            f'declare one with backend = "{kind.name}" in queenpost.toml'
        )
    path = _found(kind, program)
    check_words(kind, words)
    home = home_of(options)
    if name is not None:
        home.agent_secret(name)  # refuses what no agent can be called, before anything is started
    name_fleet(name_of(options, home), home.root)
    _have_broker(options, home)
    plan = Plan(home, kind, path, name, words, dict(os.environ))
    ended = anyio.run(run, plan, partial(_tell_start, kind))
    _tell_end(kind, ended)
    sys.exit(ended.code)


def _found(kind: Kind, program: Path | None) -> str:
    """Find the program.

    Raises:
        Invalid: it is not there.
    """
    named = str(program.absolute()) if program else os.environ.get(_variable(kind))
    path = shutil.which(named or kind.name)
    if path is None:
        missing = f"{named} is no program that can be run" if named else f"{kind.name!r} is not on your PATH"
        raise Invalid(f"{missing}; install {kind.title}, or name its file with --program or ${_variable(kind)}")
    return str(Path(path).absolute())


def _have_broker(options: Options, home: Home) -> None:
    """Start the fleet if its broker does not run; one that somebody starts in this moment will do."""
    if home.root.exists() and listens(home):
        return
    try:
        start_detached(UpSettings(home, config_of(options, home)))
    except AnotherBroker:
        return
    note("started the fleet; it runs on when you leave, `queenpost down` ends it")


def _tell_start(kind: Kind, agent: str) -> None:
    click.echo(f"{bold(agent)}: {kind.title}, {kind.wakes}", err=True)
    note(f'write to it from any terminal: queenpost send {agent} "…"')


def _tell_end(kind: Kind, ended: Ended) -> None:
    left, agent = ended.left, ended.agent
    if left is None:
        warn(f"the broker does not answer; `queenpost status` tells of {agent} when it does")
    elif left.attached:
        warn(f"{agent} is still attached: something that {kind.title} started runs on")
    elif left.ready:
        waits = "1 message waits" if left.ready == 1 else f"{left.ready} messages wait"
        note(f"{agent} is {left.state}; {waits} for its next session: queenpost {kind.name} --name {agent}")
    else:
        note(f"{agent} is {left.state}; nothing waits for it")


def _variable(kind: Kind) -> str:
    return f"QUEENPOST_{kind.name.upper()}"


claude: click.Command = _opens(KINDS["claude"])
codex: click.Command = _opens(KINDS["codex"])
