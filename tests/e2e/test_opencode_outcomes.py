"""Every way to end, by the real opencode: what the table says of the golden transcripts holds of it."""

from pathlib import Path

import pytest

from tests.e2e.conftest import Served
from tests.e2e.opencode_cases import play
from tests.e2e.programs import need
from tests.fakes.models.server import ModelServer
from tests.harness.backends.opencode.table import EXPECTED

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.mark.parametrize("name", EXPECTED)
async def test_each_end_is_told_apart(name: str, home: Path, served: Served) -> None:
    """[H36] A version that says it otherwise is found here; `python -m tests.e2e.opencode_cases` records it."""
    program, expected = need("opencode"), EXPECTED[name]
    async with ModelServer() as models:
        played, _ = await play(name, program, models, home, served.door)
    ended = played.ended
    assert ended.outcome == expected.outcome
    assert expected.begun in (played.began, None)
    assert (ended.until_ms is not None) == expected.far
    assert expected.words in ended.reason
