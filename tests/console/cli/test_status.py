"""status and agent list: the fleet at one moment."""

from typing import Any

import pytest
from inline_snapshot import snapshot

from console.cli.status import account_line, doing
from tests.console.conftest import NOW_MS, Terminal
from wire.agents import AgentsListed, AgentSummary, LastTurn
from wire.fleet import Account, FleetState

MANAGER = AgentSummary(
    name="manager",
    role="manager",
    backend="scripted",
    origin="file",
    state="working",
    ready=2,
    leased=1,
    attached=True,
    epoch=3,
    open_asks=2,
    last_turn=LastTurn(id="t4", state="open", outcome=None, opened_at_ms=NOW_MS - 5000, closed_at_ms=None),
    tokens_today=123_456,
    cost_usd_today=1.5,
)
BOB = AgentSummary(
    name="bob",
    role="agent",
    backend="none",
    origin="database",
    state="deaf",
    reason="gone \x1b[31mred",
    last_turn=LastTurn(
        id="t2",
        state="closed",
        outcome="rate_limited",
        opened_at_ms=NOW_MS - 90_000,
        closed_at_ms=NOW_MS - 61_000,
    ),
)
ACCOUNT = Account(accepted=10, handled=5, redelivered=1, waiting=3, dead=1, held=0, expired=0, mailbox=1, lost=0)
FLEET = FleetState(
    fleet="demo",
    home="/srv/demo",
    pid=42,
    version="0.1.0",
    started_at_ms=NOW_MS - 180_000,
    server_time_ms=NOW_MS,
    agents=[MANAGER, BOB],
    account=ACCOUNT,
    operator_mail=1,
    open_asks=1,
    jobs={"pending": 2, "running": 1, "overdue": 1},
    wal_bytes=0,
    warnings=["the disk is nearly full"],
)


async def test_status_prints_its_stable_shape(terminal: Terminal) -> None:
    """DESIGN 10: each agent with state and mail counts; what nothing counts yet is null."""
    terminal.broker.answers["fleet.status"] = lambda _: FLEET
    shown = await terminal.json("status")
    assert shown["agents"][0] == snapshot(
        {
            "name": "manager",
            "role": "manager",
            "backend": "scripted",
            "origin": "file",
            "state": "working",
            "reason": "",
            "until": None,
            "mail": {"ready": 2, "leased": 1, "held": 0, "dead": 0},
            "open_asks": 2,
            "last_turn": {
                "id": "t4",
                "state": "open",
                "outcome": None,
                "opened_at": "2027-01-15T07:59:55.000Z",
                "closed_at": None,
            },
            "tokens_today": 123456,
            "cost_usd_today": 1.5,
            "attached": True,
            "epoch": 3,
        }
    )
    del shown["agents"]
    assert shown == snapshot(
        {
            "fleet": "demo",
            "home": "/srv/demo",
            "pid": 42,
            "version": "0.1.0",
            "started_at": "2027-01-15T07:57:00.000Z",
            "account": {
                "accepted": 10,
                "handled": 5,
                "redelivered": 1,
                "waiting": 3,
                "dead": 1,
                "held": 0,
                "expired": 0,
                "mailbox": 1,
                "lost": 0,
            },
            "operator_mail": 1,
            "open_asks": 1,
            "jobs": {"pending": 2, "running": 1, "overdue": 1},
            "frozen": False,
            "warnings": ["the disk is nearly full"],
        }
    )


async def test_a_person_sees_an_aligned_table_and_the_account(terminal: Terminal) -> None:
    """Ours: columns line up, times are relative, a reason cannot command the terminal."""
    terminal.broker.answers["fleet.status"] = lambda _: FLEET
    result = await terminal.type("status")
    assert result.stdout == snapshot("""\
demo  up 3 min  broker 0.1.0, pid 42

AGENT    ROLE     BACKEND   STATE    WAITING  IN TURN  HELD  DEAD  ASKS                TODAY  LAST TURN                  NOW
manager  manager  scripted  working        2        1     -     -     2  123.5k tokens $1.50  t4 open for 5 s            1 message
bob      agent    none      deaf           -        -     -     -     -                    -  t2 rate limited 1 min ago  gone \\u{1b}[31mred

ACCOUNT  accepted 10 · handled 5 · waiting 3 · dead 1 · held 0 · expired 0 · mailbox 1 · redelivered 1 · lost 0
MAILBOX  1 unread for the operator  (queenpost inbox)
ASKS     1 waits for your answer  (queenpost asks --to-me)
JOBS     pending 2 · running 1 · overdue 1  (queenpost job list)
""")  # noqa: E501
    assert "warning: the disk is nearly full" in result.stderr


IN_MS = 240_000


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ({"state": "working", "leased": 1}, "1 message"),
        ({"state": "working", "leased": 3, "reason": "uses Bash"}, "3 messages, uses Bash"),
        ({"state": "waiting_permission", "reason": "a7: Bash git push"}, "a7: Bash git push"),
        ({"state": "parked", "reason": "quota", "until_ms": NOW_MS + IN_MS}, "for 4 min more: quota"),
        ({"state": "parked", "until_ms": NOW_MS + IN_MS}, "for 4 min more"),
        ({"state": "paused", "reason": "finishes its turn first"}, "finishes its turn first"),
        ({"state": "idle"}, ""),
    ],
)
def test_what_an_agent_does_now_is_said(agent: dict[str, Any], words: str) -> None:
    """Issue 4.9: on how much mail, with which tool; which ask; why it rests, and until when."""
    assert doing(MANAGER.model_copy(update={"leased": 0, **agent}), NOW_MS, absolute=False) == words


async def test_an_end_is_told_to_programs_in_full(terminal: Terminal) -> None:
    """DESIGN 10: ISO in UTC."""
    parked = MANAGER.model_copy(update={"state": "parked", "until_ms": NOW_MS})
    terminal.broker.answers["fleet.status"] = lambda _: FLEET.model_copy(update={"agents": [parked]})
    assert (await terminal.json("status"))["agents"][0]["until"] == "2027-01-15T08:00:00.000Z"


async def test_times_in_full_on_demand(terminal: Terminal) -> None:
    """DESIGN 10: absolute times on demand."""
    terminal.broker.answers["fleet.status"] = lambda _: FLEET
    shown = (await terminal.type("status", "--absolute")).stdout
    assert "t2 rate limited 2027-01-15T07:58:59.000Z" in shown


async def test_a_frozen_fleet_says_so(terminal: Terminal) -> None:
    """DESIGN 5.18, 10: with the command that ends it."""
    terminal.broker.answers["fleet.status"] = lambda _: FLEET.model_copy(update={"frozen": True})
    assert "FROZEN   everybody, who comes later too  (queenpost thaw)" in (await terminal.type("status")).stdout
    assert (await terminal.json("status"))["frozen"] is True


async def test_an_empty_fleet_says_how_to_get_agents(terminal: Terminal) -> None:
    """Ours."""
    terminal.broker.answers["fleet.status"] = lambda _: FLEET.model_copy(update={"agents": []})
    assert "queenpost agent add NAME" in (await terminal.type("status")).stdout


async def test_agent_list_is_the_same_table_and_shape(terminal: Terminal) -> None:
    """Ours: one form for an agent, wherever it is listed."""
    terminal.broker.answers["fleet.status"] = lambda _: FLEET
    terminal.broker.answers["agents.list"] = lambda _: AgentsListed(agents=FLEET.agents)
    assert await terminal.json("agent", "list") == (await terminal.json("status"))["agents"]
    await terminal.type("agent", "list", "--removed")
    assert [frame["removed"] for frame in terminal.broker.seen() if "removed" in frame] == [False, True]


@pytest.mark.parametrize("lost", [0, 2])
def test_the_account_names_what_is_lost(lost: int) -> None:
    """Ours: the figure that must be 0 stands last, and always."""
    assert account_line(ACCOUNT.model_copy(update={"lost": lost})).endswith(f"lost {lost}\x1b[0m")
