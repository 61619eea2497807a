"""The rows of `make bench` that need a real program can be taken; how fast anything is, no test says."""

from pathlib import Path

import anyio
import pytest

from benchmarks.plan import Plan
from benchmarks.rows import Series
from benchmarks.turns import beside_claude
from tests.e2e.programs import need

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]


async def test_claude_is_measured_alone_and_in_a_fleet(home: Path) -> None:
    """[P02] "Must reach": a burst of 100 is at most two turns of a Claude Code that drains as the hint says."""
    need("claude")
    series = Series()
    with anyio.fail_after(150):
        await beside_claude(series, Plan(turns=2, turn_rounds=1), home)
    assert not series.left_out
    assert series["claude burst"][0] <= 2
    assert all(len(series[name]) == 1 for name in ("own turn", "send to model p95", "hosted turn", "loop"))
