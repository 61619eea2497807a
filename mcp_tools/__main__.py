"""`python -P -m mcp_tools --agent NAME [--home PATH]`: the MCP server of one agent over stdio.

`queenpost mcp` starts it. Exits 0 when its client leaves or on SIGTERM, and 1 with a sentence on stderr when
it was refused.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio

from mcp_tools import stdio
from wire.errors import QueenpostError
from wire.home import find_home
from wire.logs import configure
from wire.private_files import read_secret


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, and say in one sentence why not."""
    options = _parser().parse_args(arguments)
    configure("mcp", folder=None, console=sys.stderr, env=os.environ)
    reason: str | None = None
    try:
        home = find_home(options.home, os.environ, Path.cwd())
        token = partial(read_secret, home.agent_secret(options.agent))
        anyio.run(stdio.serve, home.socket, options.agent, token)
    except* QueenpostError as group:
        reason = str(_first(group))
    if reason is not None:
        sys.stderr.write(f"queenpost mcp: {reason}\n")
    return 0 if reason is None else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("queenpost mcp", description="Serve an agent's mail tools over stdio.")
    parser.add_argument("--agent", required=True, metavar="NAME", help="whose mail it is")
    parser.add_argument("--home", metavar="PATH", help="folder of the fleet")
    return parser


def _first(group: BaseExceptionGroup[QueenpostError]) -> BaseException:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner


if __name__ == "__main__":
    sys.exit(main())
