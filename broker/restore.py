"""`python -P -m broker.restore --home PATH FILE`: put a backup in the place of the database. No broker may run.

A program of its own, started by `queenpost restore`: only the broker's side opens databases.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from broker.store.refusals import SecondBroker
from broker.store.restore import Restored, restore
from wire.clock import SystemClock
from wire.errors import QueenpostError
from wire.home import find_home

EXIT_REFUSED = 1
EXIT_SECOND_BROKER = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Restore and say what was done; gives the exit code."""
    parser = argparse.ArgumentParser(prog="queenpost restore", description="Put a backup in place of the database.")
    parser.add_argument("--home", help="folder of the fleet")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("file", type=Path)
    args = parser.parse_args(argv)
    try:
        home = find_home(args.home, os.environ, Path.cwd())
        home.create()
        _say(restore(home.database, args.file.absolute(), SystemClock()), as_json=args.json)
    except QueenpostError as exc:
        sys.stderr.write(f"queenpost: {exc.code}: {exc.message}\n")
        return EXIT_SECOND_BROKER if isinstance(exc, SecondBroker) else EXIT_REFUSED
    return 0


def _say(done: Restored, *, as_json: bool) -> None:
    aside = str(done.aside) if done.aside else None
    if as_json:
        told = [json.dumps({"restored": str(done.source), "database": str(done.database), "aside": aside})]
    else:
        told = [f"{done.database} is now a copy of {done.source}"]
        if aside:
            told.append(f"what was there lies in {aside}; `queenpost restore {aside}` goes back to it")
        told.append("secrets are in no backup: the next start renews tokens that do not match. Then: `queenpost up`")
    sys.stdout.write("\n".join([*told, ""]))


if __name__ == "__main__":
    sys.exit(main())
