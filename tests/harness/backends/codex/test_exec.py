"""`codex exec`: a process for each turn, on one thread."""

import json

import anyio
import pytest

from harness.backends.protocol import Began, Ended, Output, ToolUse, TurnRequest
from tests.harness.backends.codex.conftest import Codex, OpenCodex, said
from tests.harness.backends.playing import ending
from wire.turns import Usage

COLD: dict[str, object] = {"warm": False, "permissions": "bypass"}


async def test_each_turn_is_a_process_on_one_thread(open_codex: OpenCodex) -> None:
    """[H19] The prompt goes in on stdin, in no command line; the thread is resumed, in a new harness too."""
    async with open_codex(**COLD) as codex:
        first = await codex.play("say hello", "tool mcp_tool_call", "tool command_execution")
    assert said(first) == ["hello"]
    kinds = [type(event) for event in first.events if not isinstance(event, Output)]
    assert kinds == [Began, ToolUse, ToolUse, Ended]
    async with open_codex(**COLD) as codex:
        await codex.play("say again")
        (thread,) = codex.threads
    argv = [start["argv"] for start in codex.kept("starts")]
    assert "resume" not in argv[0]
    assert argv[1][-3:] == ["resume", thread, "-"]
    assert "say again" not in json.dumps(argv)
    assert argv[0][argv[0].index("--sandbox") + 1] == "danger-full-access"


async def test_tokens_are_differenced(open_codex: OpenCodex) -> None:
    """[H38] The program adds up over the thread."""
    async with open_codex(**COLD) as codex:
        spent = [(await codex.play(steps)).ended.usage for steps in ("tokens 100 10", "tokens 20 2")]
    assert spent == [
        Usage(input_tokens=100, output_tokens=10, tool_calls=0),
        Usage(input_tokens=20, output_tokens=2, tool_calls=0),
    ]


@pytest.mark.parametrize("status", [0, 3])
async def test_without_a_result_it_was_killed(open_codex: OpenCodex, status: int) -> None:
    """[H20] Whatever the exit status says."""
    async with open_codex(**COLD) as codex:
        outcome, reason = ending(await codex.play("say well", f"die {status}"))
    assert outcome == "crashed"
    assert reason.endswith("without a result: codex_core: something is wrong")


async def test_a_thread_that_nobody_knows_is_begun_anew(open_codex: OpenCodex) -> None:
    """Ours: the mail comes again at once, and counts for nothing."""
    async with open_codex(**COLD) as codex:
        await codex.play("say hello")
        (lost,) = codex.threads
        (codex.seat.cwd / "threads" / lost).unlink()
        words = "it does not know its thread any more; a new one begins"
        assert ending(await codex.play("say hello")) == ("interrupted", words)
        assert ending(await codex.play("say hello")) == ("completed", "")
        assert lost not in codex.threads


async def test_a_full_context_begins_a_new_thread(open_codex: OpenCodex) -> None:
    """Ours: one that went on would only fail again."""
    async with open_codex(**COLD) as codex:
        full = await codex.play('fail {"message": "Codex ran out of room in the model\'s context window."}')
        assert full.ended.outcome == "context_full"
        await codex.play("say hello")
        assert len(codex.threads) == 2


async def test_without_its_tools_no_turn_runs(open_codex: OpenCodex) -> None:
    """[H19] The server is required."""
    async with open_codex(**COLD, env={"FAKE_MCP": "failed"}) as codex:
        outcome, reason = ending(await codex.play("say hello"))
    assert outcome == "mcp_missing"
    assert reason.endswith("its MCP server is not connected: HTTP request failed: connection refused")


async def test_its_key_is_in_the_one_variable_that_it_reads(open_codex: OpenCodex) -> None:
    """[H33] [H35] And in no command line."""
    async with open_codex(**COLD, env={"OPENAI_API_KEY": "sk-of-alice"}) as codex:
        await codex.play("say hello")
        (start,) = codex.kept("starts")
    assert start["env"]["CODEX_API_KEY"] == "sk-of-alice"
    assert "sk-of-alice" not in json.dumps(start["argv"])


async def test_a_turn_that_is_left_ends_the_program(open_codex: OpenCodex) -> None:
    """[H20] Nothing can be put in meanwhile."""
    async with open_codex(**COLD) as codex:
        await leave(codex)
        assert ending(await codex.play("say hello")) == ("completed", "")
        assert len(codex.threads) == 1


async def leave(codex: Codex) -> None:
    """Leave a turn whose program would never end."""
    with anyio.fail_after(15):
        async with codex.backend.run(TurnRequest("t1", "say well\ndeaf")) as program:
            async for event in program.events():
                if isinstance(event, Began):
                    assert not await program.nudge("there is mail")
                    await program.interrupt()
                    return
