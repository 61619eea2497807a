"""What the real program said, read by a turn: each way to end is told apart, by its own words."""

import json
import math
import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from harness.backends.opencode.server import RefusedError
from harness.backends.opencode.turn import OpencodeTurn
from tests.architecture.tree import ROOT
from tests.harness.backends.opencode.table import EXPECTED
from tests.harness.backends.playing import Played

GOLDEN = ROOT / "tests" / "golden" / "opencode"
VERSIONS = sorted(folder.name for folder in GOLDEN.iterdir())


async def replay(transcript: Path) -> Played:
    """Have a turn hear a transcript. A line without a type is what the request was answered with."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in transcript.read_text(encoding="utf-8").splitlines()]
    played = Played()
    give, answers = anyio.create_memory_object_stream[dict[str, Any]](math.inf)

    async def say(text: str) -> dict[str, Any]:
        answer = await answers.receive()
        if "refused" in answer:
            raise RefusedError(answer["refused"], answer["error"])
        return answer["answer"]

    async def listen(turn: OpencodeTurn) -> None:
        async for event in turn.events():
            played.events.append(event)
        turn.close()
        tasks.cancel_scope.cancel()

    with give, answers, anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            turn = OpencodeTurn(1, tasks, now_ms=lambda: begun_ms(lines), secret="secret", earlier=frozenset())
            turn.session = next(line["properties"]["sessionID"] for line in lines if "properties" in line)
            tasks.start_soon(listen, turn)
            tasks.start_soon(turn.play, say, "please go on")
            for line in lines:
                if "type" in line:
                    await turn.event(line)
                else:
                    await give.send(line)
    return played


def begun_ms(lines: list[dict[str, Any]]) -> int:
    """Give when it was recorded."""
    infos = [line["properties"].get("info", {}) for line in lines if "properties" in line]
    return next(info["time"]["created"] for info in infos if "time" in info)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("version", VERSIONS)
async def test_each_end_is_told_apart(version: str, name: str) -> None:
    """[H36] Recorded from the real program."""
    expected = EXPECTED[name]
    played = await replay(GOLDEN / version / f"{name}.jsonl")
    ended = played.ended
    assert ended.outcome == expected.outcome
    assert expected.words in ended.reason
    assert expected.begun in (played.began, None)
    assert (ended.until_ms is not None) == expected.far
    assert ended.usage is not None


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_answers_of_a_turn_are_added_up(version: str) -> None:
    """[P02] Each answer has figures of its own; those of the compaction count too."""
    usage = [(await replay(GOLDEN / version / f"{name}.jsonl")).ended.usage for name in ("completed", "context_mended")]
    assert [(one.input_tokens, one.output_tokens, one.tool_calls) for one in usage if one] == [
        (200, 20, 1),
        (200, 20, 0),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_case_was_recorded(version: str) -> None:
    """Ours: and nothing else; no line names a machine, a folder of ours or a key."""
    files = {path.stem: path.read_text(encoding="utf-8") for path in (GOLDEN / version).iterdir()}
    assert set(files) == set(EXPECTED)
    odd = r"sk-ant|/(tmp|root|var)/|/home/(?!alice\b)|127\.0\.0\.1:\d{2}"
    assert not [name for name, text in files.items() if re.search(odd, text)]
