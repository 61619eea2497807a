"""An agent's own session at a person's terminal: asked for, opened, handed back, with every program of ours in it."""

import json
import os
import signal
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from harness.scripted.mcp_client import McpClient
from tests.fakes.json_lines import lines_in
from tests.fakes.person import Person, person, queenpost
from tests.fakes.processes import fake
from tests.scenarios.programs import Fleet, fleet_in, is_gone

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

PROGRAM = fake("claude")
PATIENCE_S = 30


@pytest.fixture
async def fleet() -> AsyncGenerator[Fleet]:
    """A fleet with alice, who plays Claude Code, and a harness."""
    with tempfile.TemporaryDirectory(prefix="qp-", dir="/tmp") as folder:
        async with fleet_in(Path(folder)) as made:
            await made.add("alice", backend="claude", command=PROGRAM)
            harness = await made.start_harness()
            assert await harness.becomes_ready(), harness.said.read_text()
            yield made


def attached(fleet: Fleet, *words: str, name: str = "alice") -> AbstractAsyncContextManager[Person]:
    """Put a person in front of an agent's session."""
    command = queenpost("agent", "attach", name, "--home", str(fleet.home.root), *words)
    return person(command, {**os.environ, "TERM": "xterm"}, fleet.home.root)


def kept(fleet: Fleet, name: str) -> list[dict[str, Any]]:
    """Give what alice's program noted in her folder."""
    return lines_in(fleet.home.agent_state("alice") / f"{name}.jsonl")


async def turn(fleet: Fleet, body: str) -> str:
    """Have alice do something, to its end; gives what she wrote in all of her turns."""
    with anyio.fail_after(PATIENCE_S):
        await fleet.handled(await fleet.send("alice", body))
    return await fleet.transcripts("alice")


OPEN = "open at a terminal (pid"


async def state(fleet: Fleet, wanted: str, words: str = "") -> str:
    """Wait until alice is in a state for a reason; gives the reason."""
    with anyio.fail_after(PATIENCE_S):
        agent = partial(fleet.agent, "alice")
        return (await fleet.until(agent, lambda agent: agent.state == wanted and words in agent.reason)).reason


async def test_what_is_typed_is_remembered_by_the_next_turn(fleet: Fleet) -> None:
    """Issue 4.9: her own session, with her tools; mail that came meanwhile wakes her behind it."""
    await turn(fleet, "say hello")
    async with attached(fleet) as operator:
        await operator.sees("READY")
        assert f"{OPEN} {operator.process.pid})" in await state(fleet, "parked", OPEN)
        operator.type("pears\r")
        await operator.sees("KEPT pears")
        queued = await fleet.send("alice", "recall")
        assert (await fleet.delivery(queued)).state == "queued"
        operator.type("exit\r")
        assert await operator.sees_the_end() == 0
        assert "alice goes on with it" in operator.screen
    with anyio.fail_after(PATIENCE_S):
        await fleet.handled(queued)
    assert "recalled ['pears']" in await fleet.transcripts("alice")
    first, terminal, second = kept(fleet, "starts")
    assert not Path(f"/proc/{first['pid']}").exists(), "the resident one ended before"
    assert [argv[argv.index("--resume") + 1] for argv in (terminal["argv"], second["argv"])] == [
        first["argv"][first["argv"].index("--session-id") + 1]
    ] * 2


async def test_the_program_has_the_tools_of_the_agent_and_no_secret_in_its_arguments(fleet: Fleet) -> None:
    """Issue 4.9: the identity, the permissions, a bearer of its own that is void afterwards; mail is only shown."""
    await turn(fleet, "say hello")
    async with attached(fleet) as operator:
        await operator.sees("READY")
        start = kept(fleet, "starts")[-1]
        token, argv = start["env"]["QUEENPOST_MCP_TOKEN"], start["argv"]
        assert not [word for word in argv if token in word]
        assert token not in Path(argv[argv.index("--mcp-config") + 1]).read_text(encoding="utf-8")
        assert argv[argv.index("--permission-mode") + 1] == "default"
        assert "-p" not in argv
        tools = McpClient(start["env"]["QUEENPOST_MCP_URL"], token)
        call = partial(anyio.to_thread.run_sync, tools.call)
        assert "alice" in await call("whoami", {})
        mail = await fleet.send("alice", "say later")
        assert "say later" in await call("recv", {})
        assert (await fleet.delivery(mail)).state == "queued"
        await call("send", {"to": "operator", "body": "from the terminal"})
        assert [item.body for item in await fleet.mailbox()] == ["from the terminal"]
        operator.type("exit\r")
        assert await operator.sees_the_end() == 0
    with pytest.raises(OSError, match="refused"):
        await call("whoami", {})


async def test_it_waits_for_the_turn_that_runs(fleet: Fleet) -> None:
    """Issue 4.9: and says so; Ctrl-C gives up, and the agent goes on."""
    await turn(fleet, "say hello")
    waits = await fleet.send("alice", "may do it")
    await state(fleet, "waiting_permission")
    async with attached(fleet) as operator:
        await operator.sees("waiting for the turn of alice to end")
        operator.type("\x03")
        assert await operator.sees_the_end() == 130
    assert (await fleet.delivery(waits)).state == "in_turn"


async def test_a_turn_that_shall_not_be_waited_for_is_ended(fleet: Fleet) -> None:
    """Issue 4.9: `--interrupt`; its mail goes back uncounted, and comes again when the session is handed back."""
    await turn(fleet, "say hello")
    stuck = await fleet.send("alice", "stuck")
    await state(fleet, "working")
    await fleet.running("alice")
    async with attached(fleet, "--interrupt") as operator:
        await operator.sees("READY")
        waiting = await fleet.delivery(stuck)
        assert (waiting.state, waiting.failures) == ("queued", 0)
        operator.type("exit\r")
        assert await operator.sees_the_end() == 0
    with anyio.fail_after(PATIENCE_S):
        await fleet.until(partial(fleet.delivery, stuck), lambda copy: copy.state == "in_turn")


async def test_a_terminal_that_dies_gives_the_session_back(fleet: Fleet) -> None:
    """Ours: kill -9; the program that it leaves behind is ended before the next turn begins."""
    await turn(fleet, "say hello")
    async with attached(fleet) as operator:
        await operator.sees("READY")
        await state(fleet, "parked", OPEN)
        left = kept(fleet, "starts")[-1]["pid"]
        mail = await fleet.send("alice", "say on")
        os.kill(operator.process.pid, signal.SIGKILL)
        with anyio.fail_after(PATIENCE_S):
            await fleet.handled(mail)
            while not is_gone(left) and Path(f"/proc/{left}").exists():  # noqa: ASYNC110  # nothing announces it
                await anyio.sleep(0.01)
    assert fleet.logged("harness", "leftover_killed")[0]["pid"] == left


async def test_a_terminal_that_is_closed_ends_its_program(fleet: Fleet) -> None:
    """Ours: politely, and the session is handed back."""
    await turn(fleet, "say hello")
    async with attached(fleet) as operator:
        await operator.sees("READY")
        left = kept(fleet, "starts")[-1]["pid"]
        operator.process.send_signal(signal.SIGHUP)
        assert await operator.sees_the_end() == 128 + signal.SIGTERM
        assert not Path(f"/proc/{left}").exists()
    assert "hello again" in await turn(fleet, "say hello again")


async def test_a_harness_that_starts_meanwhile_leaves_it_alone(fleet: Fleet) -> None:
    """Ours: and serves its other agents; it goes on when the session is handed back."""
    await turn(fleet, "say hello")
    await fleet.add("bob", backend="claude", command=PROGRAM)
    async with attached(fleet) as operator:
        await operator.sees("READY")
        await fleet.start_harness("--takeover")
        with anyio.fail_after(PATIENCE_S):
            await fleet.handled(await fleet.send("bob", "say hello"))
        await state(fleet, "parked", OPEN)
        operator.type("exit\r")
        assert await operator.sees_the_end() == 0
    await turn(fleet, "say hello again")


async def test_a_copy_needs_nobody_to_step_aside_and_is_never_learnt_of(fleet: Fleet) -> None:
    """Ours: `--fork`, also in the middle of a turn."""
    await turn(fleet, "say hello")
    await fleet.send("alice", "may do it")
    await state(fleet, "waiting_permission")
    async with attached(fleet, "--fork") as operator:
        await operator.sees("READY")
        operator.type("apples\r")
        await operator.sees("KEPT apples")
        operator.type("exit\r")
        assert await operator.sees_the_end() == 0
        assert "goes on with it" not in operator.screen
    assert (await fleet.agent("alice")).state == "waiting_permission"
    own = json.loads((fleet.home.agent_harness("alice") / "session.json").read_text())["id"]
    assert (fleet.home.agent_state("alice") / "sessions" / own).read_text() == ""


async def test_a_session_that_was_left_for_a_new_one_is_followed(fleet: Fleet) -> None:
    """Issue 4.9: with the new id if the program began another one."""
    await turn(fleet, "say hello")
    async with attached(fleet) as operator:
        await operator.sees("READY")
        operator.type("apples\rclear\r")
        await operator.sees("CLEARED")
        operator.type("plums\rexit\r")
        assert await operator.sees_the_end() == 0
    assert "recalled ['plums']" in await turn(fleet, "recall")


async def test_what_cannot_be_opened_is_refused_and_disturbs_nobody(fleet: Fleet) -> None:
    """Ours: by name, with what to do instead."""
    await fleet.add("carl", backend="scripted", script="echo")
    for name, words in (
        ("alice", "it has no session yet"),
        ("carl", "its backend 'scripted' has no session that could be opened"),
    ):
        async with attached(fleet, name=name) as operator:
            assert await operator.sees_the_end() == 1
            await operator.sees(words)
    assert "carl" not in [event["agent"] for event in fleet.logged("harness", "session_wanted")]


@pytest.mark.parametrize("name", ["session.lock", "programs/claude-mcp-terminal.json"])
async def test_a_file_that_cannot_be_written_is_named(fleet: Fleet, name: str) -> None:
    """Ours: in a sentence, before and after the session is had; the agent goes on."""
    await turn(fleet, "say hello")
    path = fleet.home.agent_harness("alice") / name
    path.unlink(missing_ok=True)
    path.mkdir()
    async with attached(fleet) as operator:
        assert await operator.sees_the_end() == 1
        await operator.sees("the session of alice cannot be opened")
        assert "Traceback" not in operator.screen
    path.rmdir()
    assert "hello again" in await turn(fleet, "say hello again")


async def test_a_session_is_opened_once(fleet: Fleet) -> None:
    """Ours: the second one is told who has it."""
    await turn(fleet, "say hello")
    async with attached(fleet) as first:
        await first.sees("READY")
        async with attached(fleet) as second:
            assert await second.sees_the_end() == 1
            await second.sees(f"is open at a terminal (pid {first.process.pid})")
