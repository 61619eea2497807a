"""What the real program wrote, read by the backend: each way to end is told apart, by its own words."""

import re
import sys
from pathlib import Path

import anyio
import pytest

from harness.backends import session_file
from harness.backends.claude.backend import ClaudeBackend
from harness.backends.protocol import TurnRequest
from harness.backends.session_file import Overflowing, Session
from tests.architecture.tree import ROOT
from tests.harness.backends.claude.table import EXPECTED
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import Played

GOLDEN = ROOT / "tests" / "golden" / "claude"
VERSIONS = sorted(folder.name for folder in GOLDEN.iterdir())
PLAYBACK = ROOT / "tests" / "fakes" / "playback.py"


RESUMED: dict[str, Overflowing] = {"unknown_session": "", "shortened": "full", "not_shortened": "full"}
"""Those that go on with a session, and whether that was too long."""
NOT_COUNTED = {"no_tools", "unknown_flag", "unknown_session", "not_shortened"}
"""Those that did not come to a turn, of which there are no figures."""


async def replay(seat_for: MakeSeat, transcript: Path) -> Played:
    """Have the backend hear a transcript."""
    command = [sys.executable, "-I", "-S", str(PLAYBACK), str(transcript)]
    seat = seat_for(backend="claude", command=command)
    if transcript.stem in RESUMED:
        session = Session("claude", "lost", str(seat.cwd), overflow=RESUMED[transcript.stem])
        session_file.write(seat.workspace.session_file, session)
    backend, played = ClaudeBackend(seat), Played()
    with anyio.fail_after(15):
        async with backend.open(), backend.run(TurnRequest("t1", "please go on")) as program:
            if transcript.stem == "late_line":
                await program.nudge("one more thing")
            async for event in program.events():
                played.events.append(event)
    return played


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("version", VERSIONS)
async def test_each_end_is_told_apart(seat_for: MakeSeat, version: str, name: str) -> None:
    """[P08] Recorded from the real program."""
    expected = EXPECTED[name]
    played = await replay(seat_for, GOLDEN / version / f"{name}.jsonl")
    ended = played.ended
    assert ended.outcome == expected.outcome
    assert any(words in ended.reason for words in expected.words.split("|"))
    assert (played.began, ended.until_ms) == (expected.begun, expected.until_ms)
    assert (ended.usage is not None) == (name not in NOT_COUNTED)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_line_that_came_too_late_is_waited_for(seat_for: MakeSeat, version: str) -> None:
    """[P03] To the second result; not every version says how many turns are queued."""
    played = await replay(seat_for, GOLDEN / version / "late_line.jsonl")
    assert played.ended.usage is not None
    assert (played.ended.usage.input_tokens, played.ended.usage.output_tokens) == (200, 20)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_case_was_recorded(version: str) -> None:
    """Ours: and nothing else; no line names a machine, a folder of ours or a key."""
    files = {path.stem: path.read_text(encoding="utf-8") for path in (GOLDEN / version).iterdir()}
    assert set(files) == set(EXPECTED)
    assert not [
        name for name, text in files.items() if re.search(r"sk-ant|/(tmp|home|root|var)/|127\.0\.0\.1:\d{2}", text)
    ]
