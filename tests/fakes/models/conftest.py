"""A server, a bare client, and each API in turn."""

from collections.abc import AsyncGenerator

import httpx2
import pytest

from tests.fakes.models.server import ModelServer
from tests.fakes.models.speakers import SPEAKERS, Speaker


@pytest.fixture(scope="module")
async def models() -> AsyncGenerator[ModelServer]:
    """A server that two MCP servers are known to; a test opens conversations of its own."""
    async with ModelServer(("queenpost", "hub")) as server:
        yield server


@pytest.fixture(scope="module")
async def client() -> AsyncGenerator[httpx2.AsyncClient]:
    """A client that knows nothing of any API; without certificates, which take longer to read than all it says."""
    async with httpx2.AsyncClient(timeout=5, verify=False) as client:
        yield client


@pytest.fixture(params=SPEAKERS, ids=lambda speaker: speaker.name)
def speaker(request: pytest.FixtureRequest) -> Speaker:
    """One API."""
    found: Speaker = request.param
    return found
