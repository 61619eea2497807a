"""`queenpost login`: logs an account in, with the program's own command, into the folder that its agents use."""

import os
import shutil
import sys

import click

from console.cli.homes import config_of, home_of
from console.cli.options import Options, command
from console.logins.accounts import account_named
from console.logins.programs import PROGRAMS
from wire.errors import Invalid
from wire.private_files import make_private_folder


@command("login")
@click.argument("account", metavar="NAME")
@click.option("--backend", type=click.Choice(sorted(PROGRAMS)), help="The program, where agents do not tell.")
def login(options: Options, account: str, backend: str | None) -> None:
    """Log account NAME of queenpost.toml in: its program asks, and keeps the login in the folder of the account.

    Once is enough for all agents of the account. An account with a token is not logged in: this says what to do.
    """
    home = home_of(options)
    config = config_of(options, home)
    found = account_named(account, config, home, backend)
    program = PROGRAMS[found.backend]
    if found.kind == "token":
        raise Invalid(f"account {account} uses a token: {found.mend}")
    if found.folder is not None:
        make_private_folder(found.folder.parent)
        make_private_folder(found.folder)
    path = shutil.which(program.program)
    if path is None:
        raise Invalid(f"{program.program!r} is not on your PATH; install it, then try again")
    click.echo(f"starting `{program.program} {' '.join(program.login)}` for account {account}", err=True)
    sys.stdout.flush()
    environment = program.environment(found.folder, os.environ)
    os.execve(path, [program.program, *program.login], environment)  # noqa: S606  # no shell is meant
