"""Whether the accounts that agents use are logged in."""

from collections.abc import Iterator
from pathlib import Path

from console.doctor.verdict import Verdict
from console.logins.accounts import accounts_of, trouble_of
from wire.errors import QueenpostError
from wire.home import Home
from wire.settings_file import read_settings


def checks(home: Home, config: Path | None) -> Iterator[Verdict]:
    """Look at each account of the settings file, with each program that uses it."""
    try:
        settings = read_settings(config, home=home.root) if config else None
    except QueenpostError:
        return  # said by the check of the home
    for account in accounts_of(settings, home) if settings else ():
        check = f"account {account.name}"
        trouble = trouble_of(account)
        if trouble is None:
            yield Verdict(check, "ok", f"{account.backend}, by {account.kind}")
        else:
            yield Verdict(check, "error", trouble, account.mend)
