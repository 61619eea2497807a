"""The doctor's look at agents and mail."""

from typing import Any

import pytest

from console.doctor import fleet
from console.doctor.verdict import Verdict
from tests.console.doctor.test_broker import STATE
from wire.agents import AgentSummary


def agent(state: str, **fields: Any) -> AgentSummary:
    """Make an agent called bob."""
    given = {"name": "bob", "role": "agent", "backend": "command", "origin": "file", "state": state, **fields}
    return AgentSummary.model_validate(given)


def checked(*agents: AgentSummary, **state: Any) -> dict[str, Verdict]:
    """Look at a fleet; gives what is not ok, by check."""
    given = STATE.model_copy(update={"agents": list(agents), **state})
    return {verdict.check: verdict for verdict in fleet.checks(given) if verdict.level != "ok"}


@pytest.mark.parametrize("state", ["idle", "working", "paused", "away", "parked", "stopped"])
def test_an_agent_without_mail_is_well(state: str) -> None:
    """Ours: whatever it does, nobody misses it."""
    assert checked(agent(state)) == {}


@pytest.mark.parametrize(
    ("given", "level", "says", "mend"),
    [
        (agent("failed", reason="5 crashes"), "error", "it failed: 5 crashes", "queenpost logs --agent bob"),
        (agent("deaf", ready=2), "error", "2 messages wait and nobody works for it", "queenpost harness bob"),
        (agent("away", ready=1), "warning", "1 message waits; its harness is away", "queenpost harness bob"),
        (agent("away", ready=1, backend="none"), "note", "for a session of it", "queenpost recv --as bob"),
        (agent("parked", ready=1, reason="offline"), "warning", "it is parked: offline", "queenpost explain bob"),
        (agent("waiting_permission", reason="Bash(ls)"), "note", "a permission: Bash(ls)", "queenpost asks"),
        (agent("paused", ready=3), "note", "3 messages wait; it is paused", "queenpost explain bob"),
        (agent("stopped", ready=1), "note", "1 message waits; it is stopped", "queenpost explain bob"),
    ],
)
def test_an_agent_that_keeps_mail_waiting(given: AgentSummary, level: str, says: str, mend: str) -> None:
    """[H21] Issue 3.5: with the command that mends it or tells more."""
    found = checked(given)["agent bob"]
    assert (found.level, found.mend) == (level, mend)
    assert says in found.says


def test_freezes_name_whom_they_hold() -> None:
    """Issue 3.5: one, or everybody."""
    assert checked(agent("frozen"))["freeze"].mend == "queenpost thaw bob"
    assert checked(agent("frozen"), frozen=True)["freeze"].mend == "queenpost thaw"


def test_what_waits_for_the_operator() -> None:
    """[P07] Issue 3.5: held and dead mail, questions, the mailbox."""
    found = checked(agent("idle", held=1, dead=2), open_asks=1, operator_mail=4)
    assert {check: (verdict.level, verdict.mend) for check, verdict in found.items()} == {
        "held mail": ("warning", "queenpost held list"),
        "dead letters": ("warning", "queenpost dead list"),
        "questions": ("note", "queenpost asks"),
        "mailbox": ("note", "queenpost inbox"),
    }
    assert found["held mail"].says == "1 message is held"


def test_a_loss_is_an_error() -> None:
    """DESIGN 1: the one line that has to be 0."""
    account = STATE.account.model_copy(update={"accepted": 5, "lost": 1})
    assert checked(account=account)["account"].level == "error"
