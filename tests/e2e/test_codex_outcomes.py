"""Every way to end, by the real Codex: what the table says of the golden transcripts holds of it."""

from pathlib import Path

import pytest

from tests.e2e.codex_cases import COLD_SETTINGS, play
from tests.e2e.conftest import Served
from tests.e2e.programs import need
from tests.fakes.models.server import ModelServer
from tests.harness.backends.codex.table import COLD, EXPECTED

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.mark.parametrize("name", EXPECTED)
async def test_each_end_is_told_apart(name: str, home: Path, served: Served) -> None:
    """[H36] A version that says it otherwise is found here; `python -m tests.e2e.codex_cases` records it."""
    program, expected = need("codex"), EXPECTED[name]
    async with ModelServer() as models:
        played = await play(name, program, models, home, served.door)
    ended = played.ended
    assert (ended.outcome, played.began, ended.until_ms) == (expected.outcome, expected.begun, expected.until_ms)
    assert expected.words in ended.reason


@pytest.mark.parametrize("name", COLD)
async def test_each_end_of_a_process_per_turn_is_told_apart(name: str, home: Path, served: Served) -> None:
    """[H36] By `codex exec`."""
    program, expected = need("codex"), COLD[name]
    async with ModelServer() as models:
        played = await play(name, program, models, home, served.door, **COLD_SETTINGS)
    assert (played.ended.outcome, played.began) == (expected.outcome, expected.begun)
    assert expected.words in played.ended.reason
