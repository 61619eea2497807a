"""An agent's server in memory, spoken to in each protocol era."""

from collections.abc import AsyncGenerator
from typing import Literal

import pytest
from mcp import Client

from mcp_tools.handover import Place
from mcp_tools.server import build_server
from tests.fakes.desk import FakeDesk

Era = Literal["legacy", "auto"]
ERAS: tuple[Era, ...] = ("legacy", "auto")
"""2025 with its handshake, and 2026 without."""


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> Era:
    """Each test that asks for it runs once per era."""
    return request.param


@pytest.fixture
def desk() -> FakeDesk:
    """The desk behind `client`."""
    return FakeDesk()


@pytest.fixture
def place(desk: FakeDesk) -> Place:
    """Where the calls of `client` come from."""
    return Place(desk)


@pytest.fixture
async def client(place: Place, era: Era) -> AsyncGenerator[Client]:
    """A client of an ordinary agent's surface."""
    async with Client(build_server("agent", lambda _: place), mode=era) as connected:
        yield connected
