"""A real program that is not there is named, and nothing is measured of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.plan import Plan
from benchmarks.rows import Series
from benchmarks.turns import beside_claude
from tests.e2e.programs import find

pytestmark = pytest.mark.anyio


@pytest.fixture
def looked_for_anew() -> Iterator[None]:
    """Programs are looked for once per process; here again."""
    find.cache_clear()
    yield
    find.cache_clear()


@pytest.mark.usefixtures("looked_for_anew")
async def test_a_program_that_is_missing_is_left_out_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: nothing is started, and the report says why."""
    monkeypatch.setenv("QUEENPOST_E2E_CLAUDE", "/no/such/claude")
    series = Series()
    await beside_claude(series, Plan(), tmp_path)
    assert series.left_out == {"claude": "QUEENPOST_E2E_CLAUDE names /no/such/claude, and that is no file"}
    assert not series.values
    assert not list(tmp_path.iterdir())
