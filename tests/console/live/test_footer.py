"""What stands below the story."""

import click
import pytest

from console.cli.screen import columns
from console.live.footer import footer, now_of
from console.live.watching import at_rest
from wire.agents import AgentState, AgentSummary, LastTurn
from wire.asks import Ask, AskKind
from wire.fleet import Account, FleetState

NOW_MS = 1_800_000_000_000
ACCOUNT = Account(accepted=6, handled=4, redelivered=1, waiting=1, dead=0, held=0, expired=0, mailbox=1, lost=0)


def agent(name: str, state: AgentState = "idle", reason: str = "", **more: object) -> AgentSummary:
    """Make one."""
    said = {"name": name, "role": "agent", "backend": "claude", "origin": "file", "state": state, "reason": reason}
    return AgentSummary.model_validate({**said, **more})


def fleet(*agents: AgentSummary, account: Account = ACCOUNT) -> FleetState:
    """Make a fleet."""
    return FleetState(
        fleet="f", home="/h", pid=1, version="1", started_at_ms=0, server_time_ms=NOW_MS, agents=list(agents),
        account=account, operator_mail=0, wal_bytes=0,
    )  # fmt: skip


def ask(number: int, kind: AskKind = "permission", **more: object) -> Ask:
    """Make an ask to the operator."""
    said = {"id": f"a{number}", "kind": kind, "asker": "worker-1", "target": "operator", "state": "open"}
    more = {"question": "May I run `make`?", "asked_at_ms": NOW_MS, "deadline_at_ms": NOW_MS, **more}
    return Ask.model_validate({**said, **more})


def lines(state: FleetState, *asks: Ask, width: int = 80, height: int = 24) -> list[str]:
    """Draw it, without colours."""
    return [click.unstyle(line) for line in footer(state, asks, width=width, height=height, hint="Ctrl-C leaves")]


def test_each_agent_is_shown_with_what_it_does_now() -> None:
    """Issue 4, item 10: shows the fleet at work."""
    busy = LastTurn(id="t4", state="open", opened_at_ms=NOW_MS - 3000)
    done = LastTurn(id="t3", state="closed", outcome="completed", opened_at_ms=0, closed_at_ms=NOW_MS - 5000)
    shown = lines(
        fleet(
            agent("manager", last_turn=done, tokens_today=1200, cost_usd_today=0.25),
            agent("worker-1", "working", "uses mcp__queenpost__send", leased=1, ready=2, last_turn=busy),
            agent("worker-2", "waiting_permission", "a1: Bash make"),
        )
    )
    assert shown[1:] == [
        "○ manager   idle           completed 5 s ago",
        "● worker-1  working        1 message, uses send, for 3 s, 2 waiting",
        "◆ worker-2  waits for you  a1: Bash make",
        "5 of 6 messages handled · 1.2k tokens · $0.25 · Ctrl-C leaves",
    ]


def test_an_open_ask_stands_there_with_the_command_that_answers_it() -> None:
    """Issue 4, item 10: open asks with how to answer."""
    shown = lines(fleet(), ask(1), ask(2, "question", question="Which?", options=["left", "right"]), ask(3), ask(4))
    assert shown[1:5] == [
        "? a1 worker-1: May I run `make`?",
        "    queenpost answer a1 allow|always|deny",
        "? a2 worker-1: Which?",
        '    queenpost answer a2 "left | right"',
    ]
    assert "  and 1 more: queenpost asks" in shown


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (20, 4), (200, 60)])
def test_it_fits_whatever_is_in_it(width: int, height: int) -> None:
    """Bad input: long names, wide letters, escape sequences, many agents, a small window."""
    agents = [agent(f"a-very-long-name-{number:02}", "working", "漢字\x1b[2J" * 40) for number in range(30)]
    wide = max(width, 60)  # a name and a state want some room
    shown = lines(fleet(*agents), ask(1, question="漢\x1b[2J" * 100), width=wide, height=height)
    assert all(columns(line) <= wide * 2 and "\x1b" not in line for line in shown)
    assert len(shown) <= max(height // 2 + 3, 10)
    assert any("more: queenpost status" in line for line in shown)


def test_those_at_work_are_shown_first_where_there_is_no_room_for_all() -> None:
    """Ours."""
    agents = [*(agent(f"idle-{number}") for number in range(20)), agent("busy", "working")]
    assert lines(fleet(*agents))[1].startswith("● busy")


def test_what_was_lost_is_said_where_there_is_any() -> None:
    """[P01] Only then: it never is."""
    shown = lines(fleet(account=ACCOUNT.model_copy(update={"lost": 1, "dead": 2})))
    assert "2 dead · 1 lost" in shown[-1]


def test_a_parked_agent_says_why_and_until_when() -> None:
    """[P08]"""
    parked = agent("bob", "parked", "usage limit", until_ms=NOW_MS + 3_600_000)
    assert now_of(parked, NOW_MS) == "for 1 h more: usage limit"


def test_a_fleet_rests_where_nobody_works_and_nothing_waits() -> None:
    """Ours: the view of a goal ends then, once it was reported."""
    quiet = ACCOUNT.model_copy(update={"waiting": 0})
    assert at_rest(fleet(agent("a"), account=quiet))
    assert not at_rest(fleet(agent("a"), account=ACCOUNT))
    assert not at_rest(fleet(agent("a", "waiting_permission"), account=quiet))
