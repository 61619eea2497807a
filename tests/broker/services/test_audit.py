"""The audit trail: one row for every state-changing action of an operator, in the transaction that performs it."""

import json
from collections.abc import Callable

import pytest

from broker.services.callers import Caller
from tests.fakes.office import FakeOffice, by_token
from wire.errors import QueenpostError
from wire.settings import AgentSettings, Settings

Act = Callable[[FakeOffice], object]

ACTIONS: dict[str, tuple[Act, str]] = {
    "agent.added": (lambda office: office.add("dora"), "dora"),
    "agent.removed": (lambda office: office.remove("carol"), "carol"),
    "agent.paused": (lambda office: office.pause("carol"), "carol"),
    "agent.resumed": (lambda office: office.resume_agent("alice"), "alice"),
    "settings.applied": (lambda office: office.apply(Settings(agents={"emil": AgentSettings()})), "fleet"),
    "mailbox.read": (lambda office: office.ack(everything=True), "operator"),
    "message.requeued": (lambda office: office.requeue("m1"), "m1"),
    "message.discarded": (lambda office: office.discard("m1"), "m1"),
}


@pytest.fixture
def ready(office: FakeOffice, bob: Caller) -> FakeOffice:
    """A fleet in which each action has something to change."""
    office.send(by_token("alice"), "bob")
    office.damage("UPDATE deliveries SET failures = 4")
    office.close(bob, office.opened(bob).id, "crashed")
    office.send(by_token("alice"), "operator")
    office.pause("alice")
    return office


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_of_an_operator_leaves_one_row(ready: FakeOffice, action: str) -> None:
    """[H32] DESIGN 5: who, what, to what, when."""
    act, subject = ACTIONS[action]
    before = len(ready.audited())
    ready.clock.advance(5)
    act(ready)
    assert ready.audited()[before:] == [("operator", action, subject)]
    row = ready.row("SELECT at, detail FROM audit ORDER BY id DESC LIMIT 1")
    assert row["at"] == ready.clock.now_ms()
    assert isinstance(json.loads(row["detail"]), dict)


@pytest.mark.parametrize("action", ["agent.removed", "agent.paused", "settings.applied", "mailbox.read"])
def test_an_action_that_changes_nothing_leaves_none(ready: FakeOffice, action: str) -> None:
    """DESIGN 5: state-changing ones; a second time it is none."""
    act, _ = ACTIONS[action]
    act(ready)
    before = ready.contents()
    act(ready)
    after = ready.contents()
    assert after["audit"] == before["audit"]
    assert {table for table in after if after[table] != before[table]} <= {"replies"}


@pytest.mark.parametrize("action", ["agent.added", "message.requeued", "message.discarded"])
def test_an_action_that_is_refused_leaves_none(ready: FakeOffice, action: str) -> None:
    """DESIGN 6: it is gone with its savepoint."""
    act, _ = ACTIONS[action]
    act(ready)
    before = ready.contents()
    with pytest.raises(QueenpostError):
        act(ready)
    assert ready.contents() == before


def test_a_manager_that_pauses_is_named(ready: FakeOffice) -> None:
    """DESIGN 9: the manager may pause and resume; the trail says who it was."""
    ready.pause("carol", caller=by_token("boss"))
    assert ready.audited()[-1] == ("agent:boss", "agent.paused", "carol")
