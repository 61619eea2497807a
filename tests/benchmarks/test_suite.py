"""A whole run in miniature: real broker, real floor, two pairs."""

import json
from pathlib import Path

import pytest

import benchmarks.__main__ as program
from benchmarks.figures import Figure, Goal
from benchmarks.plan import Plan
from benchmarks.programs import NotReady
from benchmarks.programs import program as running
from benchmarks.suite import measure
from broker.bridge import mosquitto
from tests.fakes.broker import short_home

pytestmark = pytest.mark.anyio

TINY = Plan(
    rounds=1, pairs=2, window_s=0.02, samples=3, restarts=1, idle_agents=2, idle_s=0.02, reminders=120, drains=1,
    real_programs=False, burst=5, bursts=1, hosted_idle_s=0.02, crowd=3, working=2, freezes=1,
)  # fmt: skip


EVENT_ROWS = (
    "signed event, outbox to record, p50 ÷ (raw MQTT end to end + one commit)",
    "signed events recorded ÷ a connection for each",
    "signing and verifying ÷ call to record, p50",
)


@pytest.mark.timeout(120)
async def test_a_run_takes_every_figure() -> None:
    """Ours: product and floor do the same work, and nothing that was started is left."""
    said: list[str] = []
    with short_home() as home:
        home.root.mkdir(mode=0o700, parents=True)
        figures = await measure(TINY, home.root, said.append)
    by_name = {figure.name: figure for figure in figures}
    assert [figure.name for figure in figures if figure.goal] == [
        "life cycles, 2 pairs ÷ floor",
        "durable sends, 2 senders ÷ 1 sender",
        "parked open behind the receipt ÷ one commit",
        "durable send beside malformed frames, p99 ÷ alone",
        "a session's hook, all of it ÷ `python -S -c pass`",
        "durable send beside 120 reminders that are due, p95 ÷ alone",
        "Claude Code: send to first request of the model, p95 ÷ its own warm turn",
        "Claude Code: what the turn loop adds to a turn ÷ its own warm turn",
        "model calls of 2 idle agents",
        "a core for 2 idle agents, broker and harness",
        "turns for 5 messages at once, scripted agent",
        "turns for 5 messages at once, scripted agent that drains",
        "turns for 5 messages at once, Claude Code that drains",
        "memory of one of 3 idle agents",
        "2 working agents frozen",
        "idle interactive session, send to first request of the model, p95 ÷ its own wake by a file, p95",
        *(f"{program}: {row}" for program in ("mosquitto", "amqtt") for row in EVENT_ROWS),
    ]
    assert all(len(figure.values) == 1 for figure in figures if not figure.left_out)
    left_out = {figure.name for figure in figures if figure.left_out}
    absent = ["Claude Code", "interactive session", *([] if mosquitto.find({}) else ["mosquitto"])]
    assert left_out == {name for name in by_name if any(word in name for word in absent)}
    assert by_name["model calls of 2 idle agents"].values == [0]
    assert by_name["life cycles, 2 pairs"].median > 0
    assert by_name["life cycles, 2 pairs, floor"].median > 0
    assert by_name["start after kill -9 to the first durable answer"].median > 0
    assert said[0] == "warming up"


async def test_a_program_that_does_not_start_says_why(tmp_path: Path) -> None:
    """Ours: its last words, not a time that ran out."""
    with pytest.raises(NotReady, match="arguments are required"):
        async with running("benchmarks.floor", errors=tmp_path / "floor.log"):
            raise AssertionError


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--check"], 1)])
def test_a_missed_goal_is_an_exit_code_where_one_asks_for_it(
    arguments: list[str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ours: a busy machine fails nobody who did not ask."""

    async def missed(plan: Plan, folder: Path, say: object) -> list[Figure]:
        assert folder.parent == tmp_path
        return [Figure("sends", "×", [9.0], Goal("≥", 10.0))]

    monkeypatch.setattr(program, "measure", missed)
    where = tmp_path / "run.json"
    assert program.main([*arguments, "--json", str(where), "--folder", str(tmp_path)]) == code
    assert json.loads(where.read_text())["figures"][0]["reached"] is False
    assert "MISSED" in capsys.readouterr().out
