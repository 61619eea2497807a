"""`python -P -m mcp_tools --agent NAME [--home PATH] [--http [--port N]]`: the MCP server of one agent.

Over stdio `--broker ADDRESS` names a broker elsewhere, `--token-file` and `--token-fd` another source of the token,
and `--attach` takes the agent before its first recv.

`queenpost mcp` starts it. Over stdio it exits 0 when its client leaves, either way on SIGTERM, and 1 with a sentence
on stderr when it was refused.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio

from mcp_tools import serving, stdio
from wire.clock import SystemClock
from wire.dialing import parse_address, token_from, way_to
from wire.elsewhere import elsewhere
from wire.errors import QueenpostError
from wire.home import Home, find_home
from wire.logs import configure
from wire.private_files import read_secret


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, and say in one sentence why not."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.port and not options.http:
        parser.error("--port is for --http")
    if options.broker and options.http:
        parser.error("--broker is for stdio")
    configure("mcp", folder=None, console=sys.stderr, env=os.environ)
    reason: str | None = None
    try:
        home = find_home(options.home, os.environ, Path.cwd())
        own = token_from(options.token_file, options.token_fd)
        token = own or partial(read_secret, home.agent_secret(options.agent))
        if options.broker:
            address = parse_address(options.broker)
            way = way_to(address, own, ca=options.ca, as_=options.agent, env=os.environ)
            there = stdio.There(way.connect, elsewhere(str(address), os.environ, Path.cwd()))
            anyio.run(partial(stdio.serve, attach=options.attach), home, options.agent, way.token, there)
        elif options.http:
            anyio.run(partial(_over_http, home, options.agent, token, options.port))
        else:
            anyio.run(partial(stdio.serve, attach=options.attach), home, options.agent, token)
    except* QueenpostError as group:
        reason = str(_first(group))
    if reason is not None:
        sys.stderr.write(f"queenpost mcp: {reason}\n")
    return 0 if reason is None else 1


async def _over_http(home: Home, agent: str, token: Callable[[], str], port: int) -> None:
    await serving.serve(home, agent, token, port=port, clock=SystemClock(), say=_say)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("queenpost mcp", description="Serve an agent's mail tools over stdio.")
    parser.add_argument("--agent", required=True, metavar="NAME", help="whose mail it is")
    parser.add_argument("--home", metavar="PATH", help="folder of the fleet")
    parser.add_argument("--attach", action="store_true", help="over stdio: take the agent before its first recv")
    parser.add_argument("--http", action="store_true", help="serve over HTTP on loopback instead")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="which port; any free one if left out")
    parser.add_argument("--broker", metavar="ADDRESS", help="a broker elsewhere, as `queenpost --broker` takes it")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="who may have signed its certificate")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="read the agent's token from this file")
    parser.add_argument("--token-fd", type=int, metavar="N", help="read it from this open descriptor")
    return parser


def _first(group: BaseExceptionGroup[QueenpostError]) -> BaseException:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner


if __name__ == "__main__":
    sys.exit(main())
