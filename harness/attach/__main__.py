"""`python -P -m harness.attach NAME`: open an agent's session at this terminal. Parses and hands over."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.attach.app import Wish, serve
from wire.errors import QueenpostError
from wire.home import find_home


def main(arguments: Sequence[str]) -> int:
    """Attach, until the program is left; gives the exit code."""
    parser = argparse.ArgumentParser(prog="queenpost agent attach")
    parser.add_argument("agent")
    parser.add_argument("--home")
    parser.add_argument("--interrupt", action="store_true")
    parser.add_argument("--fork", action="store_true")
    options = parser.parse_args(arguments)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.stderr.write("queenpost: a session is opened at a terminal, and this is none\n")
        return 1
    try:
        home = find_home(options.home, os.environ, Path.cwd())
        home.check()
        return serve(Wish(home, options.agent, options.interrupt, options.fork))
    except QueenpostError as exc:
        sys.stderr.write(f"queenpost: {exc.message}\n")
        return 1
    except KeyboardInterrupt:  # while it waited
        sys.stderr.write("\n")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
