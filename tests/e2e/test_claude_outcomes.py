"""Every way to end, by the real Claude Code: what the table says of the golden transcripts holds of it."""

from pathlib import Path

import pytest

from tests.e2e.claude_cases import play
from tests.e2e.conftest import Served
from tests.e2e.programs import need
from tests.fakes.models.server import ModelServer
from tests.harness.backends.claude.table import EXPECTED

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.mark.parametrize("name", EXPECTED)
async def test_each_end_is_told_apart(name: str, home: Path, served: Served) -> None:
    """[P08] A version that says it otherwise is found here; `python -m tests.e2e.claude_cases` records it."""
    program, expected = need("claude"), EXPECTED[name]
    async with ModelServer() as models:
        played = await play(name, program, models, home, served.door)
    ended = played.ended
    assert (ended.outcome, played.began, ended.until_ms) == (expected.outcome, expected.begun, expected.until_ms)
    assert any(words in ended.reason for words in expected.words.split("|"))
