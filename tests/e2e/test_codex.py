"""What real Codexes do beside the contract that all programs keep; only the model behind them is scripted."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tests.e2e.kinds import CODEX, run
from tests.e2e.real_fleet import PATIENCE_S, RealFleet, real_fleet, results
from tests.e2e.surroundings import paid
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.talk import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
async def fleet(home: Path) -> AsyncGenerator[RealFleet]:
    """A fleet without agents."""
    async with real_fleet(home, CODEX) as opened:
        yield opened


def folder_of(fleet: RealFleet, name: str) -> Path:
    """Say where an agent's Codex keeps its configuration."""
    return fleet.home / name / ".codex"


async def test_a_process_for_each_turn_where_nothing_is_asked(fleet: RealFleet) -> None:
    """[H19] Of `codex exec`; the thread is the same."""
    talk = await fleet.add("alice", Drain(), warm=False, permissions="bypass")
    await fleet.host()
    for body in ("one", "two"):
        await fleet.handled(await fleet.fleet.send("alice", body))
    assert talk.heard[-1].answers > 0
    assert '"thread.started"' in await fleet.fleet.transcripts("alice")
    assert fleet.starts() == 0


async def test_what_is_not_allowed_is_denied_without_a_question(fleet: RealFleet) -> None:
    """[P02] `deny`, and what the list allows in the program's own grammar; the sandbox keeps the rest."""
    replies = [run("touch made", outside=True), run("touch other", outside=True), run("touch third")]
    talk = await fleet.add(
        "alice",
        Script(*replies, then=lambda heard: Reply(results(heard))),
        permissions="deny",
        allowed_tools=['prefix_rule(pattern=["touch", "made"])'],
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "try"))
    state = fleet.fleet.home.agent_state("alice")
    assert [(state / name).exists() for name in ("made", "other", "third")] == [True, False, False]
    assert any("not among the tools" in heard.news for heard in talk.heard)


async def test_edits_go_through_in_the_workdir_only(fleet: RealFleet, home: Path) -> None:
    """[H19] By the program's own sandbox."""
    outside = home / "outside"
    replies = [run("touch inside"), run(f"touch {outside}")]
    await fleet.add("alice", Script(*replies, then=Reply("done")), permissions="edits")
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "try"))
    assert (fleet.fleet.home.agent_state("alice") / "inside").exists()
    assert not outside.exists()


@pytest.mark.parametrize("permissions", ["ask", "bypass"])
async def test_a_command_in_the_background_ends_with_its_turn(fleet: RealFleet, permissions: str) -> None:
    """[H20] It would work for a turn that is over; in a sandbox and without one. The program stays."""
    talk = await fleet.add("alice", Script(run(LONG, yield_time_ms=250), then=Drain()), permissions=permissions)
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    assert "Process running" in results(talk.heard[1])
    with anyio.fail_after(PATIENCE_S):
        while [path for path in Path("/proc").glob("[0-9]*/cmdline") if LONG.encode() in said_by(path)]:
            await anyio.lowlevel.checkpoint()
    await fleet.handled(await fleet.fleet.send("alice", "again"))
    assert fleet.starts() == 1


LONG = "true that-is-only-run-here; sleep 900"


def said_by(cmdline: Path) -> bytes:
    """Give the command line of a process; nothing of one that has ended."""
    try:
        return cmdline.read_bytes()
    except OSError:
        return b""


async def test_a_full_context_is_followed_by_a_new_thread(fleet: RealFleet) -> None:
    """[H36] It is told who it is, and remembers nothing."""
    talk = await fleet.add("alice", Script(Reply("one"), Reply.failing("context"), then=Drain()))
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "a"))
    await fleet.handled(await fleet.fleet.send("alice", "b"))
    again = talk.heard[2]
    assert "You are alice" in again.prompt
    assert again.answers == 0


async def test_a_key_of_its_own_is_used_and_left_in_no_file(fleet: RealFleet) -> None:
    """[H33] [H35] With a folder of its own, where no login lies either; the user's folder is not touched."""
    talk = await fleet.add(
        "alice", Drain(), env={"OPENAI_API_KEY": "sk-of-alice-0001"}, args=paid(fleet.models.port, "alice")
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    assert {heard.key for heard in talk.heard} == {"sk-of-alice-0001"}
    folder = folder_of(fleet, "alice")
    assert not (folder / "auth.json").exists()
    assert "sk-of-alice-0001" not in json.dumps([path.name for path in folder.rglob("*")])
    assert "sk-of-alice-0001" not in await fleet.fleet.transcripts("alice")


async def test_no_login_is_said_before_any_request(fleet: RealFleet) -> None:
    """[H35] With what to do."""
    talk = await fleet.add("alice", Drain(), args=paid(fleet.models.port, "alice"))
    await fleet.host()
    await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.reason)
    assert "codex login" in parked.reason
    assert talk.heard == []


async def test_servers_of_the_user_are_not_the_agent_s(fleet: RealFleet) -> None:
    """[H33] Also one that is called as ours, which `queenpost mcp install` makes: Codex would refuse to start."""
    talk = await fleet.add("alice", Drain())
    config = folder_of(fleet, "alice") / "config.toml"
    mine = '\n[mcp_servers.queenpost]\ncommand = "/bin/false"\n[mcp_servers.files]\nurl = "http://127.0.0.1:1/mcp"\n'
    config.write_text(config.read_text(encoding="utf-8") + mine, encoding="utf-8")
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    assert talk.heard[0].servers == {"queenpost_fleet"}
