"""`queenpost backup` and `restore`: a copy of the fleet's database, and putting one back."""

from pathlib import Path

import click

from console.cli.connecting import converse
from console.cli.homes import broker_of, home_of, tilde
from console.cli.options import Options, command
from console.cli.programs import become
from console.cli.screen import note, print_json
from wire.client import new_key
from wire.office import FleetBackedUp, FleetBackup

LONGEST_S = 3600.0
"""A large database on a slow disk takes its time; the broker goes on meanwhile."""


@command("backup")
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
def backup(options: Options, file: Path | None) -> None:
    """Write a checked copy of the fleet's database to FILE, or into its backups/, while everything goes on.

    Secrets and the agents' folders are not in it.
    """
    # A broker elsewhere has other folders: what is meant there is said in full.
    here = broker_of(options) is None
    path = None if file is None else str(file.absolute() if here else file)
    request = FleetBackup(path=path, key=new_key())
    made = converse(options, lambda client: client.call(request, FleetBackedUp, timeout_s=LONGEST_S))
    if options.json:
        print_json({"path": made.path, "bytes": made.bytes})
        return
    click.echo(f"wrote {tilde(made.path)} ({made.bytes:,} bytes), checked")
    note("secrets are not in it; `queenpost restore FILE` puts it back while no broker runs")


@command("restore")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
def restore(options: Options, file: Path) -> None:
    """Put the backup FILE in the place of the fleet's database. No broker may run on its home.

    FILE is checked first; the database that is there is moved into backups/, not deleted.
    """
    json = ["--json"] if options.json else []
    become("broker.restore", "--home", str(home_of(options).root), *json, "--", str(file.absolute()))
