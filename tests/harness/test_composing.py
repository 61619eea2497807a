"""The words of a turn: all of them at first, the mail only where the model remembers the rest."""

import pytest

from harness.backends.protocol import NotStartedError
from harness.composing import Composer
from harness.post import Post
from tests.harness.conftest import Stage
from wire.turns import Turn, TurnsOpen, TurnsOpened


async def turn_of(stage: Stage) -> Turn:
    """Open a turn over one message."""
    stage.office.put("alice", "Which pump leaks?")
    opened = await stage.hosted.post.call(TurnsOpen(), TurnsOpened)
    assert opened.turn is not None
    return opened.turn


def composer(stage: Stage, role_prompt: str | None = None) -> Composer:
    """Compose for the agent of the stage."""
    return Composer(Post(stage.office, "alice"), stage.hosted.workspace, role_prompt)


async def test_a_model_that_remembers_is_told_its_mail_only(stage: Stage) -> None:
    """[P13] DESIGN 8."""
    turn = await turn_of(stage)
    first = await composer(stage).write(turn, remembers=False)
    further = await composer(stage).write(turn, remembers=True)
    assert first.startswith("You are alice")
    assert further.startswith("You have 1 message.")
    assert all("Which pump leaks?" in words for words in (first, further))


async def test_what_was_told_is_kept_without_its_mail(stage: Stage) -> None:
    """Issue 4.7: for `queenpost prompt diff`."""
    await composer(stage).write(await turn_of(stage), remembers=False)
    kept = stage.hosted.workspace.prompt_file.read_text()
    assert kept.startswith("You are alice")
    assert "pump" not in kept


async def test_not_being_able_to_keep_it_costs_no_turn(stage: Stage) -> None:
    """Ours."""
    stage.hosted.workspace.prompt_file.mkdir()
    assert "pump" in await composer(stage).write(await turn_of(stage), remembers=False)


async def test_a_role_prompt_that_is_missing_keeps_the_program_from_starting(stage: Stage) -> None:
    """Issue 4, Bad input: it is not the fault of the mail."""
    with pytest.raises(NotStartedError, match="role prompt") as refused:
        await composer(stage, "no-such-file.md").write(await turn_of(stage), remembers=False)
    assert refused.value.outcome == "missing_program"
