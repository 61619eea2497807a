"""What every test gets: asyncio as the one event loop, the same as in production."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run each async test on asyncio; we ship for no other loop."""
    return "asyncio"


LONGEST = ("tests/model/test_machine.py", "tests/model/test_defects.py", "tests/docs/test_commands.py")
"""Files that take a minute or more by themselves."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: LONGEST.index(where) if (where := item.nodeid.partition("::")[0]) in LONGEST else 3)
