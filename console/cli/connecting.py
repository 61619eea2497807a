"""From a command to the broker: connect as whom the caller wants to be, ask, and name the fleet.

No broker is started here: where none runs, the answer says how to start one.
"""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio

from console.cli.homes import OPERATOR, broker_of, home_of, name_of, tilde, token_of_home
from console.cli.options import Options
from console.cli.screen import note
from wire.client import BrokerClient
from wire.dialing import parse_address, token_from, way_to
from wire.errors import Unavailable
from wire.home import Home
from wire.model import Request, Result

R = TypeVar("R", bound=Result)
T = TypeVar("T")

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
    address = broker_of(options)
    async with _at_home(options) if address is None else _elsewhere(options, address) as client:
        if not options.json:
            said = client.welcome
            name_fleet(said.fleet, said.home if address is None else f"{said.home} by {address}", said.principal.name)
        yield client


@asynccontextmanager
async def _at_home(options: Options) -> AsyncGenerator[BrokerClient]:
    home = home_of(options)
    token = token_from(options.token_file, options.token_fd) or partial(token_of_home, home, options.as_)
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(BrokerClient(home.socket, token, KIND, reconnect=False))
        except Unavailable as exc:
            raise _nobody_there(options, home, exc) from exc
        yield client


@asynccontextmanager
async def _elsewhere(options: Options, address: str) -> AsyncGenerator[BrokerClient]:
    own = token_from(options.token_file, options.token_fd)
    as_ = None if options.as_ == OPERATOR else options.as_
    way = way_to(parse_address(address), own, ca=options.ca, as_=as_, env=os.environ)
    async with BrokerClient(way.connect, way.token, KIND, reconnect=False) as client:
        yield client


def name_fleet(fleet: str, home: Path | str, principal: str = OPERATOR) -> None:
    """Say on stderr with which fleet a command has to do, and as whom if that is not the operator."""
    note(f"fleet {fleet}  {tilde(home)}{'' if principal == OPERATOR else f'  as {principal}'}")


def _nobody_there(options: Options, home: Home, exc: Unavailable) -> Unavailable:
    if not isinstance(exc.__cause__, FileNotFoundError | ConnectionRefusedError):
        return exc
    fleet = name_of(options, home)
    return Unavailable(f"no broker runs for fleet {fleet} (home {home.root}); start it with `queenpost up`")
