"""`queenpost apply`: have the broker read queenpost.toml again."""

import click

from console.cli.connecting import ask
from console.cli.homes import tilde
from console.cli.options import Options, command
from console.cli.screen import one_line, print_json, print_table
from wire.client import new_key
from wire.fleet import FleetApplied, FleetApply

COLOURS = {"added": "green", "revived": "green", "changed": "yellow", "stopped": "red"}


@command("apply")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def apply(options: Options, dry_run: bool) -> None:
    """Make queenpost.toml true in the running fleet, all of it or nothing. Running turns go on."""
    applied = ask(options, FleetApply(dry_run=dry_run, key=new_key()), FleetApplied)
    if options.json:
        print_json({"dry_run": dry_run, **applied.model_dump(include={"path", "changes"})})
        return
    if not applied.changes:
        click.echo(f"nothing to change: the fleet is as {tilde(applied.path or 'queenpost.toml')} says")
        return
    rows = [
        [
            click.style(change.change, fg=COLOURS.get(change.change)),
            change.subject,
            one_line(change.detail, 100),
        ]
        for change in applied.changes
    ]
    print_table(["WOULD BE" if dry_run else "NOW", "WHAT", ""], rows)
