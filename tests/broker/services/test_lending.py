"""Lending an agent's session to a terminal: what is given, and who is told."""

import pytest

from broker.services.lending import lend
from tests.broker.services.refusals import refused
from tests.fakes.office import HARNESS_CALLER, FakeOffice
from wire.agents import AgentsLend, AgentsLent
from wire.errors import Denied, Unknown
from wire.settings import AgentSettings

ASIDE = AgentsLend(agent="dora", step_aside=True, now=True)


def lent(office: FakeOffice, request: AgentsLend, *, proven: bool = True) -> AgentsLent:
    """Ask for a session."""
    return office.do(lambda tx: lend(tx, HARNESS_CALLER, request, proven=proven))


def test_settings_are_given_as_they_are(office: FakeOffice) -> None:
    """Issue 4.9: its program is started with its own environment, which listings mask; nobody is told."""
    office.add("dora", AgentSettings(backend="claude", env={"A": "b"}))
    told = len(office.pushed("agents_changed"))
    given = lent(office, AgentsLend(agent="dora"))
    assert (given.agent, given.role, given.settings.env, given.account) == ("dora", "agent", {"A": "b"}, None)
    assert len(office.pushed("agents_changed")) == told


def test_the_harness_that_holds_it_is_told_to_step_aside(office: FakeOffice) -> None:
    """Issue 4.9: where one does; it may be said again."""
    office.add("dora", AgentSettings(backend="claude"))
    told = len(office.pushed("agents_changed"))
    lent(office, ASIDE)
    assert len(office.pushed("agents_changed")) == told, "nobody holds it"
    office.harness("dora")
    for times in (1, 2):
        lent(office, ASIDE)
        assert len(office.pushed("agents_changed")) == told + times


@pytest.mark.parametrize("proven", [True, False])
def test_it_takes_an_agent_and_its_token(office: FakeOffice, proven: bool) -> None:
    """DESIGN 4: the harness proves each agent by its file; who was removed has nothing to lend."""
    office.add("dora")
    if not proven:
        refused(office, Denied, lambda: lent(office, AgentsLend(agent="dora"), proven=False))
    office.remove("dora")
    refused(office, Unknown, lambda: lent(office, AgentsLend(agent="dora"), proven=proven))
    refused(office, Unknown, lambda: lent(office, AgentsLend(agent="nobody"), proven=proven))
