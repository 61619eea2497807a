"""status and agent list: the fleet at one moment."""

import pytest
from inline_snapshot import snapshot

from console.cli.status import account_line
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
            "mail": {"ready": 2, "leased": 1, "held": 0, "dead": 0},
            "open_asks": 2,
            "last_turn": {
                "id": "t4",
                "state": "open",
                "outcome": None,
                "opened_at": "2027-01-15T07:59:55.000Z",
                "closed_at": None,
            },
            "tokens_today": None,
            "cost_usd_today": None,
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

AGENT    ROLE     BACKEND   STATE    WAITING  IN TURN  HELD  DEAD  ASKS  LAST TURN
manager  manager  scripted  working        2        1     -     -     2  t4 open for 5 s
bob      agent    none      deaf           -        -     -     -     -  t2 rate limited 1 min ago  gone \\u{1b}[31mred

ACCOUNT  accepted 10 · handled 5 · waiting 3 · dead 1 · held 0 · expired 0 · mailbox 1 · redelivered 1 · lost 0
MAILBOX  1 unread for the operator  (queenpost inbox)
ASKS     1 waits for your answer  (queenpost asks --to-me)
""")
    assert "warning: the disk is nearly full" in result.stderr


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
