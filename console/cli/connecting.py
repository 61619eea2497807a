"""From a command to the broker: connect as whom the caller wants to be, ask, and name the fleet.

No broker is started here: where none runs, the answer says how to start one.
"""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio

from console.cli.homes import home_of, name_of, tilde
from console.cli.options import Options
from console.cli.screen import note
from wire.client import BrokerClient
from wire.errors import Unavailable, Unknown
from wire.home import Home
from wire.model import Request, Result
from wire.private_files import read_secret

R = TypeVar("R", bound=Result)
T = TypeVar("T")

OPERATOR = "operator"
MAX_TOKEN_BYTES = 4096
KIND = "cli"
"""What the broker's log calls us."""


def ask(options: Options, request: Request, answer: type[R]) -> R:
    """Connect, ask one thing, disconnect."""
    return converse(options, lambda client: client.call(request, answer))


def converse(options: Options, talk: Callable[[BrokerClient], Awaitable[T]]) -> T:
    """Connect, let `talk` ask what it wants, disconnect."""

    async def main() -> T:
        async with connected(options) as client:
            return await talk(client)

    return anyio.run(main)


@asynccontextmanager
async def connected(options: Options) -> AsyncGenerator[BrokerClient]:
    """Hold a connection for the body; people are told which fleet it is.

    Raises:
        Unavailable: no broker runs there. Denied, Unknown: the credential is wrong or missing.
    """
    home = home_of(options)
    client = BrokerClient(home.socket, lambda: _token(home, options), KIND, reconnect=False)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(client)
        except Unavailable as exc:
            raise _nobody_there(options, home, exc) from exc
        if not options.json:
            name_fleet(client.welcome.fleet, client.welcome.home, client.welcome.principal.name)
        yield client


def name_fleet(fleet: str, home: Path | str, principal: str = OPERATOR) -> None:
    """Say on stderr with which fleet a command has to do, and as whom if that is not the operator."""
    note(f"fleet {fleet}  {tilde(home)}{'' if principal == OPERATOR else f'  as {principal}'}")


def _token(home: Home, options: Options) -> str:
    if options.token_fd is not None:
        with os.fdopen(options.token_fd, "rb", closefd=False) as source:
            return source.read(MAX_TOKEN_BYTES).decode("ascii", errors="replace").strip()
    if options.token_file is not None:
        return read_secret(options.token_file)
    name = options.as_
    if name is None or name == OPERATOR:
        return read_secret(home.operator_secret)
    path = home.agent_secret(name)
    if not path.exists():
        raise Unknown(f"no agent {name!r} in this fleet; `queenpost agent list` shows them")
    return read_secret(path)


def _nobody_there(options: Options, home: Home, exc: Unavailable) -> Unavailable:
    if not isinstance(exc.__cause__, FileNotFoundError | ConnectionRefusedError):
        return exc
    fleet = name_of(options, home)
    return Unavailable(f"no broker runs for fleet {fleet} (home {home.root}); start it with `queenpost up`")
