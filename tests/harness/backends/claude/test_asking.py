"""Permission prompts: what is asked, what the program is answered, and what `always` means."""

import json
from typing import Any

import anyio
import pytest

from harness.backends.claude.asking import answer_of, permission_of, rules_of, suggestion_of
from harness.backends.protocol import Ended, Permission, Permit, Permitted, TurnRequest
from tests.harness.backends.claude.conftest import Claude, OpenClaude, said


def deciding(*decisions: Permitted) -> tuple[list[Permission], Permit]:
    """Decide one after the other, and keep what was asked."""
    asked: list[Permission] = []

    async def permit(permission: Permission) -> Permitted:
        asked.append(permission)
        return decisions[len(asked) - 1]

    return asked, permit


def answers(words: list[str]) -> list[dict[str, Any]]:
    """Read the answers that the fake was given."""
    return [json.loads(one)["response"] for one in words]


async def test_what_is_allowed_runs_with_its_own_input(claude: Claude) -> None:
    """[P06] And the question says what, with what, and what `always` would mean."""
    asked, permit = deciding(Permitted(allow=True))
    played = await claude.play("may rm -rf build", permit=permit)
    assert asked == [Permission("Bash", "rm -rf build", "Bash(rm -rf build)", "rm -rf build", is_command=True)]
    assert answers(said(played)) == [{"behavior": "allow", "updatedInput": {"command": "rm -rf build"}}]
    assert played.ended.outcome == "completed"


async def test_what_is_denied_says_why(claude: Claude) -> None:
    """[P06] The model goes on; the turn is not lost."""
    _, permit = deciding(Permitted(allow=False, why="not today"))
    played = await claude.play("may rm -rf /", permit=permit)
    assert answers(said(played)) == [{"behavior": "deny", "message": "not today"}]
    assert played.ended.outcome == "completed"


async def test_always_holds_for_the_session_over_a_restart_of_the_program(open_claude: OpenClaude) -> None:
    """[P06] The program forgets it with its process; we answer for it, with the same narrow rule."""
    async with open_claude(warm=False) as first:
        asked, permit = deciding(Permitted(allow=True, always=True))
        played = await first.play("may ls", permit=permit)
        assert len(asked) == 1
        (answer,) = answers(said(played))
        rules = [{"toolName": "Bash", "ruleContent": "ls"}]
        rule = {"type": "addRules", "rules": rules, "behavior": "allow", "destination": "session"}
        assert answer["updatedPermissions"] == [rule]
    async with open_claude() as second:
        asked, permit = deciding(Permitted(allow=False))
        played = await second.play("may ls", "may ls -l", permit=permit)
        assert [one.detail for one in asked] == ["ls -l"]
        assert [answer["behavior"] for answer in answers(said(played))] == ["allow", "deny"]


async def test_allowed_once_is_asked_again(claude: Claude) -> None:
    """[P06] Only `always` is kept."""
    asked, permit = deciding(Permitted(allow=True), Permitted(allow=True))
    await claude.play("may ls", "may ls", permit=permit)
    assert len(asked) == 2


async def test_several_are_asked_at_once(claude: Claude) -> None:
    """Ours: tools that run side by side ask side by side; each is answered under its own id."""
    both = anyio.Event()
    asked: list[str] = []

    async def permit(permission: Permission) -> Permitted:
        asked.append(permission.detail)
        if len(asked) == 2:
            both.set()
        await both.wait()
        return Permitted(allow=permission.detail == "ls")

    played = await claude.play("may ls & rm x", permit=permit)
    assert sorted(asked) == ["ls", "rm x"]
    assert {answer["behavior"] for answer in answers(said(played))} == {"allow", "deny"}
    ids = {line["response"]["request_id"] for line in claude.kept("heard") if line["type"] == "control_response"}
    assert ids == {"may-ls", "may-rm x"}


async def test_an_ask_that_is_open_when_the_turn_ends_is_over(claude: Claude) -> None:
    """[P06] Interrupted while a person thinks: whoever decides is let go, and decides nothing later."""
    let_go = anyio.Event()
    ended: list[str] = []
    thinking = anyio.Event()

    async def permit(permission: Permission) -> Permitted:
        thinking.set()
        try:
            await anyio.sleep_forever()
        finally:
            let_go.set()
        return Permitted(allow=True)

    with anyio.fail_after(15):
        async with (
            claude.backend.run(TurnRequest("t1", "may x", permit)) as program,
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
    assert [line for line in claude.kept("heard") if line["type"] == "control_response"] == []


async def test_a_request_that_nobody_knows_is_refused(claude: Claude) -> None:
    """Ours: the program would wait for ever."""
    assert (await claude.play("ask elicitation")).ended.outcome == "completed"
    (answer,) = [line for line in claude.kept("heard") if line["type"] == "control_response"]
    assert answer["response"] == {"subtype": "error", "request_id": "asked", "error": "elicitation is not supported"}


@pytest.mark.parametrize(
    ("wanted", "permission"),
    [
        (
            {"tool_name": "Write", "input": {"file_path": "/a", "content": "x"}},
            Permission("Write", "/a", subject="/a"),
        ),
        (
            {"tool_name": "WebFetch", "input": {"url": "http://a", "prompt": "?"}},
            Permission("WebFetch", "http://a", subject="http://a"),
        ),
        ({"tool_name": "mcp__x__run", "input": {"command": "npm test"}}, Permission("mcp__x__run", "npm test")),
        (
            {"tool_name": "Bash", "input": {"command": "npm test", "dangerouslyDisableSandbox": True}},
            Permission("Bash", '{"command": "npm test", "dangerouslyDisableSandbox": true}'),
        ),
        (
            {"tool_name": "Bash", "input": {"command": "npm test", "description": "tests", "timeout": 9}},
            Permission("Bash", "npm test", subject="npm test", is_command=True),
        ),
        ({"tool_name": "mcp__x__y", "input": {"a": "ü"}}, Permission("mcp__x__y", '{"a": "ü"}')),
        ({"tool_name": "Bash", "input": {"command": 7}}, Permission("Bash", '{"command": 7}')),
        ({}, Permission("None", "{}")),
        ({"tool_name": "T", "input": [], "permission_suggestions": "x"}, Permission("T", "{}")),
    ],
)
def test_a_prompt_is_put_into_words(wanted: dict[str, Any], permission: Permission) -> None:
    """Ours: one argument says it all where people know the tool; whatever comes breaks nothing."""
    assert permission_of(wanted) == permission


def test_only_rules_are_taken_from_what_it_suggests() -> None:
    """[P06] A mode or a folder would allow far more than was asked."""
    rules = [{"toolName": "Bash", "ruleContent": "npm test *"}, {"toolName": "Read"}, {"ruleContent": "x"}, 7]
    wide: list[dict[str, Any]] = [
        {"type": "setMode", "mode": "acceptEdits", "destination": "session"},
        {"type": "addDirectories", "directories": ["/"], "destination": "session"},
        {"type": "addRules", "behavior": "deny", "rules": rules},
        {"type": "addRules", "behavior": "allow", "rules": []},
    ]
    narrow = {"type": "addRules", "behavior": "allow", "rules": rules, "destination": "localSettings"}
    assert suggestion_of({"permission_suggestions": wide}) is None
    assert suggestion_of({"permission_suggestions": [*wide, narrow]}) == narrow
    assert rules_of(narrow) == ["Bash(npm test *)", "Read"]
    always = Permitted(allow=True, always=True)
    assert "updatedPermissions" not in answer_of(always, {"permission_suggestions": wide})
