"""The product under load: a real broker in a home of its own, reached with the client that a harness uses."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from wire.agents import AgentsAttach, AgentsAttached
from wire.client import BrokerClient, new_instance, new_key
from wire.fleet import FleetPing, FleetPong
from wire.home import Home
from wire.inbox import InboxSend, InboxSent
from wire.private_files import read_secret
from wire.turns import TurnsClose, TurnsClosed, TurnsOpen, TurnsOpened


class ProductPost:
    """`benchmarks.post.Post` over the product: one harness for the senders, another for the readers."""

    def __init__(self, senders: BrokerClient, readers: BrokerClient) -> None:
        self._senders = senders
        self._readers = readers

    async def ping(self) -> None:
        """A round trip that stores nothing."""
        await self._senders.call(FleetPing(), FleetPong)

    async def send(self, sender: str, recipient: str, body: str) -> None:
        """Send; durable once it returns."""
        await self._senders.call(InboxSend(key=new_key(), to=recipient, body=body), InboxSent, as_=sender)

    async def open(self, agent: str) -> str:
        """Open a turn as soon as there is mail."""
        while True:
            opened = await self._readers.call(TurnsOpen(wait_s=60), TurnsOpened, as_=agent)
            if opened.turn is not None:
                return opened.turn.id

    async def close(self, agent: str, turn: str) -> None:
        """Close it as completed."""
        await self._readers.call(TurnsClose(turn=turn, outcome="completed"), TurnsClosed, as_=agent)


@asynccontextmanager
async def product_post(home: Home, senders: list[str], readers: list[str]) -> AsyncGenerator[ProductPost]:
    """Connect two harnesses to a running broker and attach their agents."""
    async with harness(home, senders) as sending, harness(home, readers) as reading:
        yield ProductPost(sending, reading)


@asynccontextmanager
async def floor_with_our_client(socket: Path) -> AsyncGenerator[ProductPost]:
    """Connect to the floor's process as a harness would; it knows neither tokens nor attaching."""
    async with BrokerClient(socket, _no_token, "bench") as sending, BrokerClient(socket, _no_token, "bench") as reading:
        yield ProductPost(sending, reading)


def _no_token() -> str:
    return "none is asked for"


@asynccontextmanager
async def harness(home: Home, agents: list[str]) -> AsyncGenerator[BrokerClient]:
    """Connect as a harness that works for these agents."""
    async with BrokerClient(home.socket, _token(home.harness_secret), "bench") as client:
        instance = new_instance()
        for agent in agents:
            token = _token(home.agent_secret(agent))()
            await client.call(
                AgentsAttach(agent=agent, instance=instance, agent_token=token, takeover=True), AgentsAttached
            )
        yield client


def _token(path: Path) -> Callable[[], str]:
    return lambda: read_secret(path).strip()
