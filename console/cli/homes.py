"""Which fleet is meant: its home, its settings file, its name where no broker can be asked."""

import os
from pathlib import Path

from console.cli.options import Options
from console.cli.screen import warn
from wire.errors import QueenpostError
from wire.home import CONFIG_NAME, LOCAL_NAME, Home, find_home


def home_of(options: Options) -> Home:
    """Give the home that the caller means; it need not exist.

    Raises:
        Invalid: none can be found. Denied: others may write to it.
    """
    home = find_home(str(options.home) if options.home else None, os.environ, Path.cwd())
    if _passes_by(options, home):
        warn(f"{CONFIG_NAME} in this folder is not used; `queenpost init --here` makes the folder a fleet")
    if home.root.exists():
        home.check()
    return home


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


def tilde(path: Path | str) -> str:
    """Shorten a path for people."""
    home = os.environ.get("HOME")
    text = str(path)
    return f"~{text.removeprefix(home)}" if home and text.startswith(f"{home}/") else text
