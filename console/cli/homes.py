"""Which fleet is meant: its home, its settings file, its name where no broker can be asked."""

import os
from pathlib import Path

from console.cli.options import Options
from console.cli.screen import warn
from wire.errors import Invalid, QueenpostError, Unknown
from wire.home import CONFIG_NAME, LOCAL_NAME, Home, find_home
from wire.private_files import read_secret

BROKER_VARIABLE = "QUEENPOST_BROKER"
OPERATOR = "operator"


def home_of(options: Options) -> Home:
    """Give the home that the caller means; it need not exist.

    Raises:
        Invalid: none can be found, or a broker elsewhere was named. Denied: others may write to it.
    """
    if options.broker:
        raise Invalid("this command works on the files of a home: run it on that machine, and leave --broker out")
    home = find_home(str(options.home) if options.home else None, os.environ, Path.cwd())
    if _passes_by(options, home):
        warn(f"{CONFIG_NAME} in this folder is not used; `queenpost init --here` makes the folder a fleet")
    if home.root.exists():
        home.check()
    return home


def broker_of(options: Options) -> str | None:
    """Give the address of the broker that the caller means, where it is not that of a home on this machine.

    Raises:
        Invalid: a home was named too.
    """
    if options.broker and options.home:
        raise Invalid("--broker and --home both say which fleet: leave one out; over ssh it is ssh://HOST/HOME")
    return options.broker or (None if options.home else os.environ.get(BROKER_VARIABLE) or None)


def words_for(options: Options) -> list[str]:
    """Say to a program of ours which broker is meant, with which credential: as options of its command line."""
    address = broker_of(options)
    words = ["--home", str(home_of(options).root)] if address is None else ["--broker", address]
    named = {"--ca": options.ca, "--token-file": options.token_file, "--token-fd": options.token_fd}
    return words + [word for name, value in named.items() if value is not None for word in (name, str(value))]


def _passes_by(options: Options, home: Home) -> bool:
    """Say whether the caller stands beside settings that the fleet of the user does not read."""
    named = options.home or options.config or os.environ.get("QUEENPOST_HOME")
    return not named and home.root.name != LOCAL_NAME and (Path.cwd() / CONFIG_NAME).exists()


def config_of(options: Options, home: Home) -> Path | None:
    """Give the settings file that the caller means, None without one."""
    return home.config(str(options.config) if options.config else None)


def name_of(options: Options, home: Home) -> str:
    """Give the fleet's name without its broker; a broken settings file is not this function's business."""
    from wire.settings_file import read_settings

    try:
        config = config_of(options, home)
        named = read_settings(config, home=home.root).fleet.name if config else None
    except QueenpostError:
        named = None
    return named or home.fleet_name


def token_of_home(home: Home, as_: str | None) -> str:
    """Read the token of the operator, or of the agent that the caller wants to be.

    Raises:
        Denied: the file cannot be read, or others may read it. Unknown: no such agent.
    """
    name = as_
    if name is None or name == OPERATOR:
        return read_secret(home.operator_secret)
    path = home.agent_secret(name)
    if not path.exists():
        raise Unknown(f"no agent {name!r} in this fleet; `queenpost agent list` shows them")
    return read_secret(path)


def tilde(path: Path | str) -> str:
    """Shorten a path for people."""
    home = os.environ.get("HOME")
    text = str(path)
    return f"~{text.removeprefix(home)}" if home and text.startswith(f"{home}/") else text
