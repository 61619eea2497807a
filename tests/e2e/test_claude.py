"""What real Claude Codes do beside the contract that all programs keep; only the model behind them is scripted."""

import json
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.e2e.kinds import CALCULATE, CLAUDE, bash
from tests.e2e.real_fleet import RealFleet, real_fleet, results
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.talk import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
async def fleet(home: Path) -> AsyncGenerator[RealFleet]:
    """A fleet without agents."""
    async with real_fleet(home, CLAUDE) as opened:
        yield opened


async def test_what_is_not_allowed_is_denied_without_a_question(fleet: RealFleet) -> None:
    """[H26] `deny`, and what the list allows in the program's own grammar."""
    replies = [bash("touch made"), bash(CALCULATE)]
    talk = await fleet.add(
        "alice",
        Script(*replies, lambda heard: Reply(results(heard))),
        permissions="deny",
        allowed_tools=["Bash(touch *)"],
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "try"))
    assert (fleet.fleet.home.agent_state("alice") / "made").exists()
    assert "42" not in results(talk.heard[-1])


async def test_a_history_that_was_compacted_is_told_again_who_it_is(fleet: RealFleet) -> None:
    """[P13] The summary may have lost it; the turn behind that one is short again."""
    replies = [Reply("one"), Reply("two"), Reply.failing("context")]
    talk = await fleet.add("alice", Script(*replies, then=Reply("yes")))
    await fleet.host()
    for body in ("a", "b", "c", "d", "e"):
        await fleet.handled(await fleet.fleet.send("alice", body))
    assert len(talk.asides) == 1
    prompts = [heard.prompt for heard in talk.heard if heard.fresh]
    assert ["You are alice" in prompt for prompt in (prompts[1], prompts[-2], prompts[-1])] == [False, True, False]
    assert fleet.starts() == 1


async def test_bypass_as_root_is_named_before_any_turn(fleet: RealFleet) -> None:
    """[H28] The program refuses it; nothing is started, and the agent says why."""
    if os.geteuid() != 0:
        pytest.skip("only root is refused")
    talk = await fleet.add("alice", Drain(), permissions="bypass")
    await fleet.host()
    await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.reason)
    assert "IS_SANDBOX" in parked.reason
    assert talk.heard == []


async def test_a_folder_in_which_its_user_is_another_agent(fleet: RealFleet, home: Path) -> None:
    """Ours: hooks of an interactive session lie there; who is hosted is not told that it is that one."""
    project = home / "project"
    project.mkdir()
    await fleet.fleet.add("me")
    queenpost = str(Path(sys.executable).with_name("queenpost"))
    install = ["mcp", "install", "--client", "claude", "--agent", "me", "--hooks"]
    await anyio.run_process([queenpost, *install, "--home", str(fleet.fleet.home.root)], cwd=project)
    assert "SessionStart" in (project / ".claude" / "settings.local.json").read_text(encoding="utf-8")
    talk = await fleet.add("alice", Drain(), workdir=str(project))
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    said = json.dumps([heard.body["messages"] for heard in talk.heard])
    assert "You are alice" in said
    assert "You are me" not in said
