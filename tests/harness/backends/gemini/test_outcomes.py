"""What the program's own words mean: recordings of the real one against a scripted model, each with its outcome."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.backends.gemini import outcomes
from harness.backends.gemini.turn import GeminiTurn
from harness.backends.protocol import Began, Ended, Event, ToolUse
from tests.architecture.tree import ROOT
from tests.harness.backends.gemini.table import EXPECTED
from wire.turns import Usage

GOLDEN = ROOT / "tests" / "golden" / "gemini"
NOW_MS = 1_800_000_000_000
WITHOUT_ANSWER = {"no_tools", "unknown_flag"}
"""The program says nothing of it: how those end is shown with the program itself, and with the fake."""

RECORDED = [path for path in sorted(GOLDEN.glob("*/*.jsonl")) if path.stem not in WITHOUT_ANSWER]


async def replayed(path: Path) -> tuple[Ended, list[Event]]:
    """Judge a recording as the backend does."""
    turn = GeminiTurn(1, lambda: None)
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    spoken = [line for line in lines if "stderr" not in line]
    for line in spoken[:-1]:
        turn.prompted = turn.prompted or "sessionId" in line.get("result", {})
        if line.get("method") == "session/update":
            await turn.update(line["params"]["update"])
    usage = outcomes.usage_of(spoken[-1], len(turn.tools))
    ended = outcomes.judge(spoken[-1], answered=turn.answered, usage=usage, now_ms=NOW_MS)
    await turn.end(ended)
    events = [event async for event in turn.events()]
    turn.close()
    return ended, events


def test_each_version_has_every_recording() -> None:
    """Ours: none is forgotten."""
    versions = [folder for folder in GOLDEN.iterdir() if folder.is_dir()]
    assert versions
    for folder in versions:
        assert {path.stem for path in folder.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_the_program_s_own_words_are_told_apart(path: Path) -> None:
    """[P08] One table, from recordings."""
    ended, events = await replayed(path)
    expected = EXPECTED[path.stem]
    assert ended.outcome == expected.outcome
    assert expected.words in ended.reason
    assert any(isinstance(event, Began) for event in events) is expected.begun


async def test_a_recording_gives_events_and_usage() -> None:
    """[H38] The figures are those of the prompt."""
    ended, events = await replayed(GOLDEN / "0.61.0" / "completed.jsonl")
    assert ended.usage == Usage(input_tokens=200, output_tokens=20, tool_calls=1)
    assert events == [Began(), ToolUse("mcp_queenpost_whoami"), ended]


async def test_until_when_a_quota_is_used_up() -> None:
    """[P08] Where it says so."""
    assert (await replayed(GOLDEN / "0.61.0" / "quota_until.jsonl"))[0].until_ms == NOW_MS + 3_600_000
    assert (await replayed(GOLDEN / "0.61.0" / "rate_limited.jsonl"))[0].until_ms is None


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        ({}, "crashed", "it stopped: None"),
        ({"result": {"stopReason": "refusal"}}, "crashed", "it stopped: refusal"),
        ({"result": 7}, "crashed", "it stopped: None"),
        ({"error": {"code": -32603, "message": "Internal", "data": {"details": "x"}}}, "crashed", "Internal: x"),
        ({"error": "no object"}, "crashed", "no reason was given"),
        ({"error": {"code": "429", "message": "[[["}}, "crashed", "[[["),
        ({"error": {"code": 429, "message": "7"}}, "rate_limited", "7"),
        ({"error": {"code": 500, "message": "connect ECONNREFUSED 127.0.0.1:9"}}, "offline", "connect ECONN"),
        ({"error": {"code": 500, "message": "x" * 9000}}, "overloaded", "x" * 600),
    ],
)
def test_whatever_comes_is_an_end(answer: dict[str, Any], outcome: str, reason: str) -> None:
    """Ours: what nobody knows is a crash, and breaks nothing."""
    ended = outcomes.judge(answer, answered=True, usage=None, now_ms=NOW_MS)
    assert ended.outcome == outcome
    assert ended.reason.startswith(reason)
    assert len(ended.reason) <= outcomes.REASON_CHARACTERS


@pytest.mark.parametrize("spent", [7, {"input_tokens": -1}, {"input_tokens": "many"}])
def test_figures_that_are_none_are_not_said(spent: object) -> None:
    """Ours."""
    usage = outcomes.usage_of({"result": {"_meta": {"quota": {"token_count": spent}}}}, 2)
    assert usage in (None, Usage(tool_calls=2))
