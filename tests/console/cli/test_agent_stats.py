"""stats of agents: one in full, or a line for each, with charts where they can be drawn."""

from collections.abc import Mapping
from typing import Any, TextIO

import pytest
from inline_snapshot import snapshot

from console.cli import agent_stats
from console.cli.charts import Style
from tests.console.cli import test_stats
from tests.console.conftest import NOW_MS, Terminal
from wire.statistics import AgentFigures, AgentsCounted, Series

SERIES = Series(
    turns=[0, 2, 4],
    failed=[0, 0, 1],
    ms_p50=[0, 1500, 3000],
    ms_p95=[0, 1500, 9000],
    received=[0, 2, 4],
    sent=[0, 0, 3],
    inbox_max=[0, 9, 1],
    tool_calls=[0, 10, 2],
    tokens=[0, 1000, 200],
    cost_usd=[0.0, 0.25, 1.0],
    notes_bytes=[0, 0, 2048],
)
BOB = AgentFigures(
    agent="bob",
    turns=6,
    outcomes={"completed": 5, "rate_limited": 1},
    ms_p50=2500,
    ms_p95=190_000,
    messages=6,
    received={"operator": 2, "peer": 4},
    sent=3,
    inbox=1,
    inbox_max=9,
    input_tokens=1000,
    output_tokens=200,
    cost_usd=1.25,
    tool_calls=12,
    tools={"Bash": 10, "mcp\x1b[2J": 2},
    last_turn_at_ms=NOW_MS - 60_000,
    notes_bytes=2048,
    series=SERIES,
)
IDLE = AgentFigures(agent="carol", series=Series.model_validate({name: [0, 0, 0] for name in Series.model_fields}))
COUNTED = AgentsCounted(since_ms=NOW_MS - 3_600_000, until_ms=NOW_MS, bucket_ms=1_200_000, agents=[BOB, IDLE])


def answer_one(terminal: Terminal, figures: AgentFigures = BOB) -> list[Any]:
    """Let the broker answer about one agent."""
    asked: list[Any] = []

    def stats(request: Any) -> AgentsCounted:
        asked.append(request)
        return COUNTED.model_copy(update={"agents": [figures]})

    terminal.broker.answers["agents.stats"] = stats
    return asked


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that can show blocks."""

    def blocks(_stream: TextIO, _environ: Mapping[str, str]) -> Style:
        return "blocks"

    monkeypatch.setattr(agent_stats, "style_of", blocks)


async def test_one_agent_in_full(terminal: Terminal, drawn: None) -> None:
    """[H37] Issue 4.8: every gauge, each with its course; what an agent named is no command to the terminal."""
    answer_one(terminal)
    assert (await terminal.type("stats", "bob")).stdout.splitlines() == snapshot(
        [
            "bob  since 1 h ago  charts: 20 min a column, the newest at the right",
            "",
            "TURNS       completed 5 · rate limited 1  0.1 a minute",
            "            ▁▅█",
            "LENGTH      half within 2.5 s, 95 of 100 within 3 min",
            "            ▁▅█",
            "TOOL CALLS  12  2.0 a turn",
            "            ▁█▂",
            "TOOLS       Bash 10 · mcp\\u{1b}[2J 2",
            "TOKENS      1,000 in · 200 out",
            "            ▁█▂",
            "COST        $1.25",
            "            ▁▃█",
            "RECEIVED    operator 2 · peer 4",
            "            ▁▅█",
            "SENT        3",
            "            ▁▁█",
            "INBOX       1 now · 9 at most behind a turn",
            "            ▁█▂",
            "NOTES       2.0 KiB",
            "LAST TURN   1 min ago",
        ]
    )


async def test_without_a_terminal_charts_are_numbers(terminal: Terminal) -> None:
    """[H37] Issue 4.8: nothing is drawn into a pipe."""
    answer_one(terminal)
    shown = (await terminal.type("stats", "bob")).stdout
    assert "            0 2 4\n" in shown
    assert "            0 0.25 1\n" in shown
    assert not set("▁▂▃▄▅▆▇█") & set(shown)


async def test_one_agent_for_programs(terminal: Terminal) -> None:
    """[H35] [H37] Issue 4.8: one object in its stable shape; since is handed on."""
    asked = answer_one(terminal)
    shown = await terminal.json("stats", "bob", "--since", "2027-01-15T08:00:00Z")
    assert (asked[0]["agent"], asked[0]["since_ms"]) == ("bob", NOW_MS)
    assert shown.pop("series") == {"bucket_ms": 1_200_000, **SERIES.model_dump()}
    assert shown == snapshot(
        {
            "agent": "bob",
            "since": "2027-01-15T07:00:00.000Z",
            "until": "2027-01-15T08:00:00.000Z",
            "turns": 6,
            "outcomes": {"completed": 5, "rate_limited": 1},
            "turn_ms": {"p50": 2500, "p95": 190000},
            "messages": 6,
            "received": {"operator": 2, "peer": 4},
            "sent": 3,
            "inbox": {"now": 1, "max": 9},
            "tokens": {"input": 1000, "output": 200},
            "cost_usd": 1.25,
            "tool_calls": 12,
            "tools": {"Bash": 10, "mcp\x1b[2J": 2},
            "last_turn_at": "2027-01-15T07:59:00.000Z",
            "notes_bytes": 2048,
        }
    )


async def test_an_agent_sees_its_own_figures(terminal: Terminal) -> None:
    """Ours: `--as NAME` asks for nobody else's."""
    asked = answer_one(terminal)
    assert (await terminal.json("stats", "--as", "bob"))["agent"] == "bob"
    assert asked[0]["agent"] == "bob"


async def test_a_fleet_has_a_line_for_each_agent(terminal: Terminal, drawn: None) -> None:
    """[H36] Issue 4.8: behind the figures of the broker; who never worked is there too."""
    test_stats.answer(terminal, agents=COUNTED)
    shown = (await terminal.type("stats")).stdout.splitlines()
    table = shown[shown.index("") :]
    heading = next(index for index, line in enumerate(table) if line.startswith("AGENT"))
    assert table[heading : heading + 3] == snapshot(
        [
            "AGENT  TURNS  FAILED  MIDDLE  95 OF 100  TOOLS  TOKENS   COST  INBOX  LAST TURN",
            "bob        6       1   2.5 s      3 min     12   1,200  $1.25      1  1 min ago  ▁▅█",
            "carol      0       -       -          -      -       -      -      -  none yet   ▁▁▁",
        ]
    )


async def test_all_pages_are_asked_for(terminal: Terminal) -> None:
    """Ours: a fleet of hundreds is more than one frame."""
    test_stats.answer(terminal)
    asked: list[str] = []

    def page(request: Any) -> AgentsCounted:
        asked.append(request.get("after", ""))
        one = [BOB, IDLE][len(asked) - 1]
        return COUNTED.model_copy(update={"agents": [one], "more": len(asked) == 1})

    terminal.broker.answers["agents.stats"] = page
    shown = await terminal.json("stats")
    assert [one["agent"] for one in shown["agents"]] == ["bob", "carol"]
    assert asked == ["", "bob"]
