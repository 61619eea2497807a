"""Patience: whichever test comes first parses every file of the tree for all others."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
PARSED_WITHIN_S = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder the time that a busy machine needs for it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(PARSED_WITHIN_S))
