"""Every scenario of the official runner against the product's HTTP stack, and proof that it would notice a hole."""

from pathlib import Path

import pytest

from tests.conformance.fixture import Fixture, Unprotected, served
from tests.conformance.runner import EXPECTED_FAILURES, expected_failures, run

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(120)]

ACTIVE = 30
"""Scenarios of the pinned runner that count."""
REBINDING = "dns-rebinding-protection"


async def test_every_active_scenario_passes(tmp_path: Path) -> None:
    """Spec: the official suite; a warning is not a pass."""
    async with served(Fixture()) as url:
        outcome = await run(url, tmp_path, "--suite", "active")
    failed = {
        f"{scenario}: {check['id']}": check.get("errorMessage")
        for scenario, checks in outcome.checks.items()
        for check in checks
        if check["status"] not in {"SUCCESS", "INFO"}
    }
    assert not failed
    assert outcome.code == 0, outcome.said
    assert len(outcome.checks) == ACTIVE


async def test_a_pending_scenario_passes_or_is_expected_to_fail(tmp_path: Path) -> None:
    """Ours: exactly those of the committed list fail, and only a pending one may stand there."""
    async with served(Fixture()) as url:
        outcome = await run(url, tmp_path, "--suite", "pending", "--expected-failures", str(EXPECTED_FAILURES))
    assert outcome.code == 0, outcome.said
    assert expected_failures().keys() <= outcome.checks.keys()


async def test_an_entry_that_passes_is_stale_and_fails(tmp_path: Path) -> None:
    """Ours: the list of expected failures cannot hide that something works."""
    stale = tmp_path / "stale.yml"
    stale.write_text("server:\n  - ping\n", encoding="utf-8")
    async with served(Fixture()) as url:
        outcome = await run(url, tmp_path / "out", "--scenario", "ping", "--expected-failures", str(stale))
    assert outcome.code == 1
    assert "Stale baseline" in outcome.said


async def test_without_protection_the_rebinding_scenario_fails(tmp_path: Path) -> None:
    """Ours: the negative control. What the SDK serves for every address lets a rebound name in, and it is seen."""
    async with served(Unprotected()) as url:
        outcome = await run(url, tmp_path, "--scenario", REBINDING)
    assert outcome.code == 1
    assert outcome.statuses(REBINDING) == {
        "localhost-host-rebinding-rejected": "FAILURE",
        "localhost-host-valid-accepted": "SUCCESS",
    }
