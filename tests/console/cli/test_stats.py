"""stats: figures that one can read."""

from typing import Any

from inline_snapshot import snapshot

from tests.console.conftest import NOW_MS, Terminal
from wire.office import FleetFigures
from wire.reminders import ReminderCounts, RemindersCounted
from wire.statistics import AgentsCounted

FIGURES = FleetFigures(
    since_ms=NOW_MS,
    messages={"peer": 1200, "system": 3},
    deliveries={"acked": 1190, "ready": 13},
    turns={"completed": 40, "crashed": 2},
    turn_ms_p50=2500,
    turn_ms_p95=190_000,
    asks={"answered": 1, "open": 2},
    reminders_delivered=7,
    jobs={"completed": 5, "running": 2},
    events={"accepted": 20, "late": 1, "refused": 9},
    refused={"denied": 4},
    connections=3,
    database_bytes=5_000_000,
    wal_bytes=900,
    started_at_ms=NOW_MS,
)
COUNTED = RemindersCounted(
    since_ms=NOW_MS, agents=[ReminderCounts(agent="bob", delivered=7, attempts={"1": 6, "2": 1}, failed=1)]
)

NOBODY = AgentsCounted(since_ms=NOW_MS, until_ms=NOW_MS, bucket_ms=0, agents=[])


def answer(
    terminal: Terminal,
    figures: FleetFigures = FIGURES,
    counted: RemindersCounted = COUNTED,
    agents: AgentsCounted = NOBODY,
) -> list[Any]:
    """Let the broker answer with these."""
    asked: list[Any] = []

    def stats(request: Any) -> FleetFigures:
        asked.append(request)
        return figures

    terminal.broker.answers["fleet.stats"] = stats
    terminal.broker.answers["reminders.stats"] = lambda _: counted
    terminal.broker.answers["agents.stats"] = lambda _: agents
    return asked


async def test_stats_prints_its_stable_shape(terminal: Terminal) -> None:
    """[H14] Issue 3.5: one object, reminders by agent in it."""
    answer(terminal)
    assert await terminal.json("stats") == snapshot(
        {
            "since": "2027-01-15T08:00:00.000Z",
            "messages": {"peer": 1200, "system": 3},
            "deliveries": {"acked": 1190, "ready": 13},
            "turns": {"completed": 40, "crashed": 2},
            "turn_ms": {"p50": 2500, "p95": 190000},
            "asks": {"answered": 1, "open": 2},
            "reminders": {
                "delivered": 7,
                "agents": [{"agent": "bob", "delivered": 7, "attempts": {"1": 6, "2": 1}, "failed": 1}],
            },
            "jobs": {"completed": 5, "running": 2},
            "job_events": {"accepted": 20, "late": 1, "refused": 9},
            "refused": {"denied": 4},
            "connections": 3,
            "database_bytes": 5000000,
            "wal_bytes": 900,
            "started_at": "2027-01-15T08:00:00.000Z",
            "agents": [],
        }
    )


async def test_a_person_reads_counts_lengths_and_sizes(terminal: Terminal) -> None:
    """[H14] Issue 3.5: with what they are of."""
    answer(terminal)
    lines = [" ".join(line.split()) for line in (await terminal.type("stats", "--absolute")).stdout.splitlines()]
    assert lines[0] == "since 2027-01-15T08:00:00.000Z, unless it says otherwise"
    assert "MESSAGES peer 1,200 · system 3" in lines
    assert "TURNS completed 40 · crashed 2 half within 2.5 s, 95 of 100 within 3 min" in lines
    assert "ASKS answered 1 · open 2" in lines
    assert "JOBS completed 5 · running 2 events: accepted 20 · late 1 · refused 9" in lines
    assert "DELIVERIES acked 1,190 · ready 13 all there are" in lines
    assert "BROKER 3 connections · database 4.8 MiB · write-ahead log 900 B" in lines
    assert lines[-2:] == ["REMINDERS OF FIRED FAILED ATTEMPTS", "bob 7 1 6× after 1, 1× after 2"]


async def test_a_fleet_that_did_nothing_has_figures_too(terminal: Terminal) -> None:
    """Ours: no line is left out."""
    empty: dict[str, Any] = {"messages": {}, "turns": {}, "refused": {}, "turn_ms_p50": None, "turn_ms_p95": None}
    answer(terminal, FIGURES.model_copy(update=empty), RemindersCounted(since_ms=NOW_MS, agents=[]))
    shown = (await terminal.type("stats")).stdout
    assert "MESSAGES    none\nTURNS       none\n" in shown
    assert "REMINDERS OF" not in shown


async def test_since_is_an_instant(terminal: Terminal) -> None:
    """Issue 3.5: an age or a time; the reminders are counted from the same one. What is none is a mistake in usage."""
    asked = answer(terminal)
    await terminal.json("stats", "--since", "2027-01-15T08:00:00Z")
    assert asked[0]["since_ms"] == NOW_MS
    result = await terminal.type("stats", "--since", "soon")
    assert (result.exit_code, len(asked)) == (2, 1)
    assert "say 10m" in result.stderr
