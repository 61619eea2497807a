"""agent restart and wake-test: telling the harness, and proving that mail would wake."""

from typing import Any

import pytest

from console.cli import loops
from tests.console.conftest import NOW_MS, Terminal
from wire.agents import AgentsChanged, AgentsWoken
from wire.errors import Conflict
from wire.inbox import DeliveryStory, InboxExplained, InboxSent, State

AWAKE = AgentsWoken(agent="bob", woken=True, wake_ms=0.84, state="idle")


async def test_restart_takes_several_names_and_says_when(terminal: Terminal) -> None:
    """Issue 4.9."""
    terminal.broker.answers["agents.restart"] = lambda request: AgentsChanged(agent=request["agent"], changed=True)
    result = await terminal.type("agent", "restart", "alice", "bob")
    assert result.stdout.splitlines() == [
        "alice starts anew now, or behind the turn that runs",
        "bob starts anew now, or behind the turn that runs",
    ]
    result = await terminal.type("agent", "restart", "bob", "--now", "--fresh")
    assert result.stdout == "bob starts anew now, with a new session\n"
    assert await terminal.json("agent", "restart", "bob") == {"agent": "bob", "changed": True}
    asked = [frame for frame in terminal.broker.seen() if frame.get("op") == "agents.restart"]
    assert [(frame["agent"], frame["now"], frame["fresh"]) for frame in asked] == [
        ("alice", False, False),
        ("bob", False, False),
        ("bob", True, True),
        ("bob", False, False),
    ]
    assert len({frame["key"] for frame in asked}) == 4


async def test_a_restart_that_reaches_nobody_is_refused(terminal: Terminal) -> None:
    """Ours: in the words of the broker."""
    terminal.broker.answers["agents.restart"] = lambda _: Conflict("nobody works for bob now")
    result = await terminal.type("agent", "restart", "bob")
    assert result.exit_code == 1
    assert result.stderr.endswith("queenpost: conflict: nobody works for bob now\n")


async def test_an_agent_that_wakes_is_said_to_with_what_it_cost(terminal: Terminal) -> None:
    """[P02] Issue 4.9: no model call, and the command for the real thing."""
    terminal.broker.answers["agents.wake_test"] = lambda _: AWAKE
    result = await terminal.type("agent", "wake-test", "bob")
    assert result.stdout == "bob wakes: its loop came back in 0.8 ms\n"
    assert "no model was called; --turn" in result.stderr
    assert await terminal.json("agent", "wake-test", "bob") == {
        "agent": "bob", "woken": True, "wake_ms": 0.84, "state": "idle", "reason": "", "handled_s": None,
    }  # fmt: skip
    assert not [frame for frame in terminal.broker.seen() if frame.get("op") == "inbox.send"]


async def test_an_agent_that_was_not_woken_is_a_failure_with_its_reason(terminal: Terminal) -> None:
    """[P02]: for scripts too; no turn is opened for it."""
    asleep = AgentsWoken(agent="bob", woken=False, state="waiting_permission", reason="a7: Bash \x1b[31m")
    terminal.broker.answers["agents.wake_test"] = lambda _: asleep
    result = await terminal.type("agent", "wake-test", "bob", "--turn")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "bob was not woken, it is waiting permission: a7: Bash \\u{1b}[31m" in result.stderr
    assert not [frame for frame in terminal.broker.seen() if frame.get("op") == "inbox.send"]


def scripted(terminal: Terminal, *states: State) -> None:
    """Let a message go through these states, one at each look; the last one stays."""
    left = list(states)

    def explain(_: dict[str, Any]) -> InboxExplained:
        state = left.pop(0) if len(left) > 1 else left[0]
        copy = DeliveryStory(recipient="bob", state=state, turn="t9" if state == "in_turn" else None, attempt=1)
        return InboxExplained(
            id="m7", sender="operator", kind="operator", body=loops.WORDS, sent_at_ms=NOW_MS, depth=0,
            deliveries=[copy], history=[],
        )  # fmt: skip

    terminal.broker.answers["agents.wake_test"] = lambda _: AWAKE
    terminal.broker.answers["inbox.send"] = lambda _: InboxSent(id="m7", to="bob")
    terminal.broker.answers["inbox.explain"] = explain


async def test_a_real_turn_is_shown_step_by_step(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """[P02]: until its message is handled."""
    monkeypatch.setattr(loops, "LOOK_EVERY_S", 0.001)
    scripted(terminal, "queued", "queued", "in_turn", "handled")
    result = await terminal.type("agent", "wake-test", "bob", "--turn")
    assert result.exit_code == 0
    assert "and it handled a message in" in result.stdout
    assert [line for line in result.stderr.splitlines() if line.startswith("m7")] == [
        "m7 queued",
        "m7 in turn t9",
        "m7 handled",
    ]
    assert (await terminal.broker.next("inbox.send"))["body"] == loops.WORDS


@pytest.mark.parametrize(("state", "words"), [("dead", "m7 is dead"), ("queued", "m7 is queued after 1 s")])
async def test_a_turn_that_does_not_come_is_a_failure(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, state: State, words: str
) -> None:
    """[P02]: with what says more, and what takes the message back."""
    monkeypatch.setattr(loops, "LOOK_EVERY_S", 0.1)
    scripted(terminal, state)
    result = await terminal.type("agent", "wake-test", "bob", "--turn", "--within", "1")
    assert result.exit_code == 1
    assert words in result.stderr
    assert "`queenpost recall m7`" in result.stderr
