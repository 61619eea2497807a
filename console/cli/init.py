"""`queenpost init`: a home, and a queenpost.toml that works, to be edited."""

from importlib.resources import files
from pathlib import Path

import click

from console.cli.homes import home_of, tilde
from console.cli.options import Options, command
from console.cli.screen import bold, print_json
from wire.errors import Conflict, Invalid
from wire.home import CONFIG_NAME, LOCAL_NAME, Home


@command("init")
@click.option("--here", is_flag=True, help="A fleet of this folder: ./queenpost.toml and ./.queenpost/.")
def init(options: Options, here: bool) -> None:
    """Make the home of a fleet and write a queenpost.toml to start from. What is there already stays as it is.

    Without --here and --home it is the fleet of the nearest .queenpost/ upwards, or yours.
    """
    if here and options.home:
        raise click.UsageError("--here and --home name two places; choose one")
    home = Home(Path.cwd() / LOCAL_NAME) if here else home_of(options)
    kept = None if home.root.exists() else _found(options, home)
    path = kept or _free_place(options, home)
    home.create()
    if kept is None:
        _write(path, files("console.cli").joinpath("starter.toml").read_text(encoding="utf-8"))
    if options.json:
        print_json({"home": str(home.root), "config": str(path)})
        return
    did = "wrote" if kept is None else "kept"
    click.echo(f"{did} {bold(tilde(path))}, for the fleet {home.fleet_name} in {tilde(home.root)}")
    elsewhere = "" if here or not options.home else f" --home {options.home}"
    click.echo(f"next: edit it, then `queenpost{elsewhere} up`")


def _found(options: Options, home: Home) -> Path | None:
    found = home.config(str(options.config) if options.config else None)
    return found if found is not None and found.exists() else None


def _free_place(options: Options, home: Home) -> Path:
    found = _found(options, home)
    if found is not None:
        raise Conflict(f"{found} is there already and stays as it is; edit it, then `queenpost up` or `apply`")
    if options.config:
        return options.config.absolute()
    return (home.root.parent if home.root.name == LOCAL_NAME else home.root) / CONFIG_NAME


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Conflict(f"{path} is there already and stays as it is") from None
    except OSError as exc:
        raise Invalid(f"cannot write {path}: {exc.strerror}") from exc
