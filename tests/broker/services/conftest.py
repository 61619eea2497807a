"""A fleet of three agents and their manager, in an office of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.services.callers import Caller
from tests.fakes.office import FakeOffice
from wire.settings import AgentSettings

FLEET = ("alice", "bob", "carol")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[FakeOffice]:
    """A fleet with alice, bob, carol, and boss as its manager. Nobody works for them yet."""
    with FakeOffice(tmp_path) as office:
        settings = {name: AgentSettings() for name in FLEET} | {"boss": AgentSettings(role="manager")}
        office.commit(*(office.add_agent.call(name, agent) for name, agent in settings.items()))
        yield office


@pytest.fixture
def alice(office: FakeOffice) -> Caller:
    """The harness instance that works for alice."""
    return office.harness("alice")


@pytest.fixture
def bob(office: FakeOffice) -> Caller:
    """The harness instance that works for bob."""
    return office.harness("bob")


@pytest.fixture
def carol(office: FakeOffice) -> Caller:
    """The harness instance that works for carol."""
    return office.harness("carol")


@pytest.fixture
def boss(office: FakeOffice) -> Caller:
    """The harness instance that works for boss, the manager."""
    return office.harness("boss")
