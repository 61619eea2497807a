"""The one word that says what an agent does: the gravest that is true."""

import pytest

from broker.services.callers import Caller
from broker.services.states import Reports, state_of
from tests.fakes.office import FakeOffice
from wire.agents import AgentsReport, AgentState, Reported
from wire.settings import AgentSettings, Settings


def word(office: FakeOffice, name: str, *, working: bool = False, reports: Reports | None = None) -> AgentState:
    """Say what an agent does."""
    row = office.row("SELECT * FROM agents WHERE name = :name", name=name)
    return state_of(row, working=working, reports=reports or Reports())[0]


def saying(state: Reported, name: str = "bob") -> Reports:
    """Let a harness say so of an agent."""
    return Reports({name: AgentsReport(state=state, reason="so it says")})


def test_without_a_holder_an_agent_is_away(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.11: with and without backend; also while a lost holder may come back."""
    office.add("dora", AgentSettings(backend="command", command=["true"]))
    assert (word(office, "alice"), word(office, "dora")) == ("away", "away")
    office.connection_ended(bob)
    assert word(office, "bob") == "away"


def test_a_deaf_agent_shows_as_deaf(office: FakeOffice) -> None:
    """DESIGN 5.11: only while nobody is attached."""
    reports = Reports(is_deaf=lambda name: name == "bob")
    assert word(office, "bob", reports=reports) == "deaf"
    office.harness("bob")
    assert word(office, "bob", reports=reports) == "idle"


def test_a_held_agent_is_idle_or_working(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 10: by whether a turn is open, whatever its harness said last."""
    assert bob.epoch == 1
    assert word(office, "bob") == "idle"
    assert word(office, "bob", working=True) == "working"
    assert word(office, "bob", reports=saying("working")) == "idle"


@pytest.mark.parametrize("state", ["waiting_permission", "parked", "failed"])
def test_what_only_the_harness_knows_is_shown(office: FakeOffice, bob: Caller, state: Reported) -> None:
    """DESIGN 5.11: `agents.report`, also during a turn."""
    assert bob.epoch == 1
    assert word(office, "bob", working=True, reports=saying(state)) == state


def test_a_pause_shows_before_what_the_agent_does(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 10: the gravest word; only failed and stopped are graver."""
    assert bob.epoch == 1
    office.pause("bob")
    assert word(office, "bob", working=True) == "paused"
    assert word(office, "bob", reports=saying("parked")) == "paused"
    assert word(office, "bob", reports=saying("failed")) == "failed"


def test_who_left_the_fleet_is_stopped(office: FakeOffice) -> None:
    """DESIGN 10: removed, or no longer in the file."""
    office.remove("bob")
    office.apply(Settings(agents={"dora": AgentSettings()}))
    office.apply(Settings())
    assert (word(office, "bob"), word(office, "dora")) == ("stopped", "stopped")


def test_a_harness_that_goes_takes_its_words_with_it() -> None:
    """DESIGN 5.11: what it said holds no longer."""
    reports = saying("parked")
    assert reports.resting() == {"bob"}
    reports.forget("bob")
    reports.forget("bob")
    assert reports.resting() == set()


@pytest.mark.parametrize(("state", "rests"), [("parked", True), ("failed", True), ("idle", False), ("working", False)])
def test_who_rests_at_a_limit_is_not_to_be_woken(state: Reported, rests: bool) -> None:
    """[P08] DESIGN 5.11, 8: nothing respawns against a wall."""
    assert saying(state).resting() == ({"bob"} if rests else set())


def test_an_agents_name_is_never_a_state_of_another(office: FakeOffice) -> None:
    """DESIGN 5.11: reports are kept by agent."""
    office.harness("alice")
    assert word(office, "alice", reports=saying("failed", "bob")) == "idle"


def test_an_end_is_told_of_what_is_shown_only(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.9: why it rests, and until when; what the harness said of another state tells nothing."""
    assert bob.epoch == 1
    reports = Reports({"bob": AgentsReport(state="parked", reason="quota", until_ms=5)})
    assert reports.until("bob", "parked") == 5
    assert reports.until("bob", "paused") is None
    assert reports.until("alice", "parked") is None
