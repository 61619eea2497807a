"""Questions on the screen: some have one answer, others are permissions that somebody decides."""

import anyio
import pytest

from harness.backends.protocol import Permission, Permit, Permitted, TurnRequest
from harness.backends.pty import turn
from tests.harness.backends.pty.conftest import BOX, Box, OpenBox, shows

pytestmark = pytest.mark.anyio


def deciding(decided: Permitted) -> tuple[Permit, list[Permission]]:
    """Decide so, and keep what was asked."""
    asked: list[Permission] = []

    async def permit(permission: Permission) -> Permitted:
        asked.append(permission)
        return decided

    return permit, asked


async def test_a_question_with_one_answer_gets_it_once(open_box: OpenBox) -> None:
    """Ours: before the prompt; the mail is typed behind it."""
    async with open_box("--trust") as box:
        played = await box.play("tool send")
        typed = box.kept("typed")
    assert played.ended.outcome == "completed"
    assert typed[0] == "y"
    assert len(typed) == 2


async def test_a_permission_says_what_and_the_turn_goes_on(box: Box) -> None:
    """[P06] The words of the screen, without its frames."""
    permit, asked = deciding(Permitted(allow=True))
    played = await box.play("may rm -r build", "tool send", permit=permit)
    assert [(one.tool, one.detail, one.rule) for one in asked] == [("Shell", "rm -r build", "Shell(rm -r build)")]
    assert "answered '1'" in played.text()
    assert played.ended.outcome == "completed"


async def test_a_no_is_told_to_the_model_when_the_prompt_is_back(box: Box) -> None:
    """[P06] The program itself cannot say why."""
    permit, _ = deciding(Permitted(allow=False, why="denied by the operator"))
    played = await box.play("may rm -r build", "tool send", permit=permit)
    assert "answered '3'" in played.text()
    assert any("Shell was not allowed: denied by the operator." in key for key in box.kept("typed"))
    assert played.ended.outcome == "completed"


async def test_always_is_asked_once_for_the_same(box: Box) -> None:
    """[P06] The rule is as narrow as can be, and lives as long as the program."""
    permit, asked = deciding(Permitted(allow=True, always=True))
    await box.play("may make", "may make", "may make all", "tool send", permit=permit)
    assert [one.detail for one in asked] == ["make", "make all"]


async def test_an_always_of_the_program_is_pressed_where_it_is_named(open_box: OpenBox) -> None:
    """[P06] What it means is the program's business, and said so."""
    answers = [*BOX["answers"][:1], {**BOX["answers"][1], "always": "2"}]
    permit, asked = deciding(Permitted(allow=True, always=True))
    async with open_box(answers=answers) as box:
        played = await box.play("may make", "tool send", permit=permit)
    assert "answered '2'" in played.text()
    assert asked[0].rule == "what the program offers there"


@pytest.mark.parametrize("permissions", ["bypass"])
async def test_bypass_asks_nobody(open_box: OpenBox, permissions: str) -> None:
    """[H26] Whatever it asks is allowed."""
    permit, asked = deciding(Permitted(allow=False))
    async with open_box(agent={"permissions": permissions}) as box:
        played = await box.play("may make", "tool send", permit=permit)
    assert "answered '1'" in played.text()
    assert asked == []


async def test_a_question_that_goes_away_is_withdrawn(box: Box) -> None:
    """[P06] Whoever was asked is let go, and nothing is typed; here the program dies of it."""
    waiting, withdrawn = anyio.Event(), anyio.Event()

    async def permit(permission: Permission) -> Permitted:
        waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            withdrawn.set()
        return Permitted(allow=True)

    with anyio.fail_after(15):
        async with box.backend.run(TurnRequest("t1", "may make", permit)) as program:
            await shows(program, "May run")
            await waiting.wait()
            await program.interrupt()  # any key answers it
            await withdrawn.wait()
            async for _ in program.events():
                pass
    assert [key for key in box.kept("typed") if key in ("1", "3")] == []


async def test_one_that_asks_without_end_is_ended(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: an answer that is not taken is not given for ever."""
    monkeypatch.setattr(turn, "MOST_ANSWERS", 2)
    permit, asked = deciding(Permitted(allow=True))
    played = await box.play("may make", "may check", "may test", "tool send", permit=permit)
    assert (played.ended.outcome, len(asked)) == ("crashed", 2)
    assert "asks again and again" in played.ended.reason
