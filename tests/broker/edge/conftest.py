"""A broker of its own for each test of the edge, in the test's own process."""

from collections.abc import Iterator

import pytest

from tests.fakes.broker import short_home
from wire.home import Home


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home
