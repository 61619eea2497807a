"""What Codex asks while it works: who decides, and what it is answered."""

from typing import Any

import anyio
import pytest

from harness.backends.protocol import Permission, Permit, Permitted, ToolUse, TurnRequest
from tests.harness.backends.codex.conftest import ACCEPTED, DECLINED, Codex, OpenCodex, answers, said
from tests.harness.backends.playing import Played, ending


class Person:
    """Decides as it is told, and keeps what it was asked."""

    def __init__(self, decided: Permitted) -> None:
        self.decided = decided
        self.asked: list[Permission] = []

    async def __call__(self, permission: Permission) -> Permitted:
        """Decide."""
        self.asked.append(permission)
        return self.decided


async def test_a_command_is_asked_for_in_words(codex: Codex) -> None:
    """[H33] What, why by its own account, and what `always` would mean."""
    person = Person(Permitted(allow=True))
    played = await codex.play("may git status", permit=person)
    assert answers(played) == {"may-0": {"result": ACCEPTED}}
    assert person.asked == [
        Permission(
            "exec_command",
            "git status\nit says: I want",
            'prefix_rule(pattern=["git", "status"])',
            "git status",
            is_command=True,
        )
    ]


async def test_a_no_is_told_to_the_model_with_its_reason(codex: Codex) -> None:
    """[H33] The program's own answer has no room for it; the turn goes on."""
    played = await codex.play("may rm x", "say on", permit=Person(Permitted(allow=False, why="denied by the operator")))
    assert said(played) == ['may-0 {"result": {"decision": "decline"}}', "on"]
    assert codex.kept("steered") == ["exec_command was not allowed: denied by the operator"]
    assert played.ended.outcome == "completed"


async def test_always_holds_for_the_session_and_over_a_restart(open_codex: OpenCodex) -> None:
    """[H33] Exactly what was shown; nothing is written into the program's own folder."""
    person = Person(Permitted(allow=True, always=True))
    async with open_codex() as codex:
        await codex.play("may git status", permit=person)
        again = await codex.play("may git status --short & git push", permit=person)
    assert answers(again) == {"may-0": {"result": ACCEPTED}, "may-1": {"result": ACCEPTED}}
    async with open_codex() as codex:
        await codex.play("may git push origin", permit=person)
    assert [one.detail.splitlines()[0] for one in person.asked] == ["git status", "git push"]


async def test_what_the_settings_allow_is_not_asked(open_codex: OpenCodex) -> None:
    """[H19] In the grammar of the program; whatever is chained to it is asked."""
    person = Person(Permitted(allow=False))
    rules = ['prefix_rule(pattern=["npm", ["test", "ci"]])', "mcp__files", "apply_patch"]
    async with open_codex(allowed_tools=rules) as codex:
        allowed = await codex.play("may npm test -- x", "patch /srv/repo/a.py", "elicit files read", permit=person)
        assert answers(allowed) == {
            "may-0": {"result": ACCEPTED},
            "patch": {"result": ACCEPTED},
            "elicit": {"result": {"action": "accept", "content": None, "_meta": None}},
        }
        assert person.asked == []
        await codex.play("may npm test; rm x & npm run & npm", "elicit filesystem read", permit=person)
    assert [one.tool for one in person.asked] == ["exec_command"] * 3 + ["mcp__filesystem__read"]


async def test_a_change_of_files_names_them(codex: Codex) -> None:
    """[H33] The request itself does not; `always` means this file."""
    person = Person(Permitted(allow=True, always=True))
    played = await codex.play(
        "patch /srv/repo/new.txt", "patch /srv/repo/new.txt", "patch /srv/repo/other.txt", permit=person
    )
    assert said(played) == ['patch {"result": {"decision": "accept"}}'] * 3
    assert person.asked == [
        Permission("apply_patch", "add /srv/repo/new.txt", "apply_patch(/srv/repo/new.txt)", "/srv/repo/new.txt"),
        Permission("apply_patch", "add /srv/repo/other.txt", "apply_patch(/srv/repo/other.txt)", "/srv/repo/other.txt"),
    ]


async def test_a_tool_of_another_server_is_asked_for(codex: Codex) -> None:
    """[H33] With its arguments."""
    person = Person(Permitted(allow=False))
    played = await codex.play("elicit files write", permit=person)
    assert answers(played) == {"elicit": {"result": {"action": "decline", "content": None, "_meta": None}}}
    assert person.asked == [Permission("mcp__files__write", '{"to": "bob"}', "mcp__files__write")]


async def test_several_are_asked_for_at_once(codex: Codex) -> None:
    """Ours: the second does not wait for the first; each is answered under its own id."""
    both, asked = anyio.Event(), list[str]()

    async def decide(permission: Permission) -> Permitted:
        asked.append(permission.detail)
        if len(asked) == 2:
            both.set()
        await both.wait()
        return Permitted(allow=permission.detail.startswith("ls"))

    played = await codex.play("may ls & rm x", permit=decide)
    assert answers(played) == {"may-0": {"result": ACCEPTED}, "may-1": {"result": DECLINED}}


async def test_more_rights_for_a_turn(codex: Codex) -> None:
    """[H33] All that was asked for, or nothing; no rule says as much."""
    wanted = 'ask item/permissions/requestApproval {"permissions": {"network": {"enabled": true}, "fileSystem": null}}'
    granted: dict[str, Any] = {"network": {"enabled": True}}
    person = Person(Permitted(allow=True, always=True))
    assert answers(await codex.play(wanted, permit=person)) == {
        "asked": {"result": {"permissions": granted, "scope": "turn"}}
    }
    assert person.asked == [Permission("request_permissions", '{"network": {"enabled": true}}', None)]
    denied = await codex.play(wanted, permit=Person(Permitted(allow=False)))
    assert answers(denied) == {"asked": {"result": {"permissions": {}, "scope": "turn"}}}


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (
            'mcpServer/elicitation/request {"serverName": "files", "mode": "form", "message": "Your name?"}',
            {"result": {"action": "decline", "content": None, "_meta": None}},
        ),
        ("attestation/generate", {"error": {"code": -32601, "message": "attestation/generate is not supported"}}),
    ],
)
async def test_what_no_person_decides_is_answered(codex: Codex, request_: str, answer: dict[str, Any]) -> None:
    """Ours: it would wait for ever."""
    person = Person(Permitted(allow=True))
    assert answers(await codex.play(f"ask {request_}", permit=person)) == {"asked": answer}
    assert person.asked == []


async def test_a_question_to_the_user_is_sent_elsewhere(codex: Codex) -> None:
    """Ours: nobody is at its terminal; the tool `ask` reaches somebody."""
    played = await codex.play('ask item/tool/requestUserInput {"questions": [{"id": "q1"}]}')
    (told,) = answers(played)["asked"]["result"]["answers"]["q1"]["answers"]
    assert "`ask`" in told


async def test_input_for_a_running_command_is_never_allowed_by_a_rule(open_codex: OpenCodex) -> None:
    """Ours: a rule names how a command begins, not what is typed into it."""
    person = Person(Permitted(allow=False))
    wanted = 'ask item/commandExecution/requestApproval {"kind": "writeStdin", "command": "npm test"}'
    async with open_codex(allowed_tools=['prefix_rule(pattern=["npm"])']) as codex:
        await codex.play(wanted, permit=person)
    assert person.asked == [Permission("write_stdin", "npm test", None)]


async def test_who_decides_is_not_waited_for_when_the_turn_ends(codex: Codex) -> None:
    """Ours: an interrupt ends it while a person still thinks; a late answer is for nobody."""
    asked, played = anyio.Event(), Played()

    async def think(permission: Permission) -> Permitted:
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError("nobody waits any more")

    permit: Permit = think
    with anyio.fail_after(15):
        async with codex.backend.run(TurnRequest("t1", "tool commandExecution\nmay ls", permit)) as program:
            async for event in program.events():
                played.events.append(event)
                if isinstance(event, ToolUse):
                    await asked.wait()
                    await program.interrupt()
    assert played.ended.outcome == "interrupted"
    assert ending(await codex.play("say hello")) == ("completed", "")
