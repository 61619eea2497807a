"""What real opencodes do beside the contract that all programs keep; only the model behind them is scripted."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.e2e.kinds import EXPR, OPENCODE, opencode_bash
from tests.e2e.real_fleet import RealFleet, children_of, gone, real_fleet, results
from tests.fakes.models.brains import Script
from tests.fakes.models.talk import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
async def fleet(home: Path) -> AsyncGenerator[RealFleet]:
    """A fleet without agents."""
    async with real_fleet(home, OPENCODE) as opened:
        yield opened


async def test_what_is_not_allowed_is_denied_without_a_question(fleet: RealFleet) -> None:
    """[P02] `deny`, and what the list allows in the program's own grammar."""
    replies = [opencode_bash("touch made"), opencode_bash(EXPR)]
    talk = await fleet.add(
        "alice",
        Script(*replies, lambda heard: Reply(results(heard))),
        permissions="deny",
        allowed_tools=["bash(touch *)"],
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "try"))
    assert (fleet.fleet.home.agent_state("alice") / "made").exists()
    assert "42" not in results(talk.heard[-1])


async def test_what_an_idle_server_left_behind_ends_with_a_harness_that_was_killed(fleet: RealFleet) -> None:
    """Ours: what its shell left behind ends with it."""
    left = opencode_bash("sleep 3000 > /dev/null 2>&1 & echo $!")
    talk = await fleet.add("alice", Script(left, lambda heard: Reply(results(heard))), permissions="bypass")
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    child = int(results(talk.heard[-1]))
    pids = children_of(fleet.harness.process.pid)
    assert len(pids) == 1
    await fleet.harness.kill()
    await gone(pids[0])
    await gone(child)
