"""Where claims of jobs and their outboxes lie: in the home of the fleet, or on another machine in the user's folder."""

import os
from pathlib import Path

from console.cli.homes import broker_of, home_of
from console.cli.options import Options
from wire.dialing import UnixAddress, parse_address
from wire.elsewhere import Elsewhere, elsewhere
from wire.errors import Invalid
from wire.home import Home

Place = Home | Elsewhere


def place_of(options: Options) -> Place:
    """Give the place for the fleet that the caller means; it need not exist.

    Raises:
        Invalid: no such place can be found, or what was named is no address.
    """
    address = broker_of(options)
    return home_of(options) if address is None else elsewhere(str(parse_address(address)), os.environ, Path.cwd())


def made(place: Place) -> Place:
    """Give a place back of which the folder is there. A home is made by others."""
    if isinstance(place, Elsewhere):
        place.create()
    return place


def refuse_processes_elsewhere(options: Options) -> None:
    """Refuse to name a process where the fleet is on another machine.

    Raises:
        Invalid: it is.
    """
    address = broker_of(options)
    if address is not None and not isinstance(parse_address(address), UnixAddress):
        raise Invalid(
            "--pid and --tmux name what runs on the machine of the fleet, and this is another one: leave them out. "
            "`job reconcile` there says of such a job when it is silent for too long, and ends nothing here"
        )
