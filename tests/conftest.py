"""What every test gets: asyncio as the one event loop, the same as in production."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run each async test on asyncio; we ship for no other loop."""
    return "asyncio"
