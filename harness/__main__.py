"""`python -P -m harness [NAME…]`: host agents. Parses and hands over."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.app import HarnessSettings, serve
from wire.errors import QueenpostError
from wire.home import find_home


def parse(arguments: Sequence[str]) -> HarnessSettings:
    """Read the command line.

    Raises:
        QueenpostError: no home can be found.
    """
    parser = argparse.ArgumentParser(prog="queenpost harness", description="Give agents their turns.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="agents to host; none: all that have a backend")
    parser.add_argument("--home", metavar="PATH", help="the home of the fleet")
    parser.add_argument(
        "--takeover", action="store_true", help="the harness before this one was reaped: do not wait for it"
    )
    options = parser.parse_args(arguments)
    home = find_home(options.home, os.environ, Path.cwd())
    names = tuple(dict.fromkeys(options.names))
    return HarnessSettings(home, names, options.takeover, dict(os.environ))


def main(arguments: Sequence[str]) -> int:
    """Run until stopped; gives the exit code."""
    try:
        settings = parse(arguments)
    except QueenpostError as exc:
        sys.stderr.write(f"{exc.message}\n")
        return 1
    return serve(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
