"""Permission prompts: what is asked, what the program is answered, and what `always` means."""

import json
from typing import Any

import anyio
import pytest

from harness.backends.gemini.asking import permission_of, tool_of
from harness.backends.protocol import Ended, Permission, Permit, Permitted, TurnRequest
from tests.harness.backends.gemini.conftest import Gemini, OpenGemini, said

ALLOWED, DENIED, WITHDRAWN = (
    {"outcome": "selected", "optionId": "proceed_once"},
    {"outcome": "selected", "optionId": "cancel"},
    {"outcome": "cancelled"},
)


def deciding(*decisions: Permitted) -> tuple[list[Permission], Permit]:
    """Decide one after the other, and keep what was asked."""
    asked: list[Permission] = []

    async def permit(permission: Permission) -> Permitted:
        asked.append(permission)
        return decisions[len(asked) - 1]

    return asked, permit


def answers(words: list[str]) -> list[dict[str, Any]]:
    """Read the answers that the fake was given."""
    return [json.loads(one) for one in words]


async def test_what_is_allowed_is_allowed_once(gemini: Gemini) -> None:
    """[P06] And the question says what, with what, and what `always` would mean."""
    asked, permit = deciding(Permitted(allow=True), Permitted(allow=True))
    played = await gemini.play("may rm -rf build", "write /w/a.txt", permit=permit)
    assert asked == [
        Permission(
            "run_shell_command",
            "rm -rf build\n[current working directory /w]",
            "run_shell_command(rm -rf build)",
            "rm -rf build",
            is_command=True,
        ),
        Permission("write_file", "Writing to it\n/w/a.txt\nhello", "write_file(/w/a.txt)", "/w/a.txt"),
    ]
    assert answers(said(played)) == [ALLOWED, ALLOWED]
    assert played.ended.outcome == "completed"
    assert played.ended.usage is not None
    assert played.ended.usage.tool_calls == 2


async def test_what_is_denied_goes_on_without(gemini: Gemini) -> None:
    """[P06] The turn is not lost."""
    _, permit = deciding(Permitted(allow=False, why="not today"))
    played = await gemini.play("may rm -rf /", permit=permit)
    assert answers(said(played)) == [DENIED]
    assert played.ended.outcome == "completed"


async def test_always_means_this_command_for_the_session_over_restarts(open_gemini: OpenGemini) -> None:
    """[P06] The program would allow every command of that name, and only as long as its process lives."""
    async with open_gemini(warm=False) as first:
        asked, permit = deciding(Permitted(allow=True, always=True), Permitted(allow=False))
        played = await first.play("may ls", "may ls", "may ls -l", permit=permit)
        assert answers(said(played)) == [ALLOWED, ALLOWED, DENIED]
        assert [one.rule for one in asked] == ["run_shell_command(ls)", "run_shell_command(ls -l)"]
    async with open_gemini() as second:
        asked, permit = deciding()
        assert answers(said(await second.play("may ls", permit=permit))) == [ALLOWED]
        assert asked == []


async def test_a_new_session_asks_again(gemini: Gemini) -> None:
    """[P06] `always` holds for one session."""
    _, permit = deciding(Permitted(allow=True, always=True))
    await gemini.play("may ls", permit=permit)
    await gemini.play("stop max_tokens")
    asked, permit = deciding(Permitted(allow=False))
    await gemini.play("may ls", permit=permit)
    assert len(asked) == 1


async def test_an_ask_that_is_open_when_the_turn_ends_is_over(gemini: Gemini) -> None:
    """[P06] Interrupted while a person thinks: whoever decides is let go, and the program is not left waiting."""
    let_go, thinking = anyio.Event(), anyio.Event()
    ended: list[str] = []

    async def permit(permission: Permission) -> Permitted:
        thinking.set()
        try:
            await anyio.sleep_forever()
        finally:
            let_go.set()
        return Permitted(allow=True)

    with anyio.fail_after(15):
        async with (
            gemini.backend.run(TurnRequest("t1", "may x", permit)) as program,
            anyio.create_task_group() as tasks,
        ):

            async def interrupt() -> None:
                await thinking.wait()
                await program.interrupt()

            tasks.start_soon(interrupt)
            async for event in program.events():
                if isinstance(event, Ended):
                    ended.append(event.outcome)
        await let_go.wait()
    assert ended == ["interrupted"]
    (answer,) = [line["result"] for line in gemini.kept("heard") if "result" in line]
    assert answer == {"outcome": WITHDRAWN}


async def test_a_turn_that_is_left_asks_nobody_any_more(gemini: Gemini) -> None:
    """[P06] The program is gone; a late decision changes nothing."""
    let_go, thinking = anyio.Event(), anyio.Event()

    async def permit(permission: Permission) -> Permitted:
        thinking.set()
        try:
            await anyio.sleep_forever()
        finally:
            let_go.set()
        return Permitted(allow=True)

    with anyio.fail_after(15):
        async with gemini.backend.run(TurnRequest("t1", "may x", permit)):
            await thinking.wait()
        await let_go.wait()
    assert [line for line in gemini.kept("heard") if "result" in line] == []


@pytest.mark.parametrize(
    ("call", "tool"),
    [
        ("run_shell_command__fc_1", "run_shell_command"),
        ("mcp_web_get__call_9__2", "mcp_web_get"),
        ("write_file-1763712000000-3", "write_file"),
        ("resolve-prompt", "resolve-prompt"),
        ("None", "None"),
    ],
)
def test_a_tool_is_named_by_the_id_of_its_call(call: str, tool: str) -> None:
    """Ours: the program says it nowhere else."""
    assert tool_of(call) == tool


@pytest.mark.parametrize(
    ("wanted", "permission"),
    [
        ({}, Permission("None", "", "None()")),
        ({"toolCallId": "t__1", "title": "x", "content": "y"}, Permission("t", "x", "t(x)")),
        (
            {
                "toolCallId": "run_shell_command__1",
                "title": "npm test",
                "content": [{"type": "content", "content": {"type": "text", "text": "npm test [in ../other]"}}],
            },
            Permission("run_shell_command", "npm test\nnpm test [in ../other]", "run_shell_command(npm test)"),
        ),
        ({"toolCallId": "t__1", "title": "x" * 9000}, Permission("t", "x" * 4000, f"t({'x' * 9000})")),
    ],
)
def test_whatever_is_wanted_can_be_asked(wanted: dict[str, Any], permission: Permission) -> None:
    """Ours: nothing in it breaks us; what is shown is bounded, what is allowed is all of it."""
    assert permission_of(wanted) == permission
