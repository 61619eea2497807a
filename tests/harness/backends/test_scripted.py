"""A script of ours as the model."""

import anyio
import pytest

from harness.backends.protocol import NotStartedError
from harness.backends.scripted import ScriptedBackend
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import play


async def test_an_unknown_script_is_a_missing_program(seat_for: MakeSeat) -> None:
    """Ours: and the reason lists those that there are."""
    backend = ScriptedBackend(seat_for(backend="scripted", script="dance"))
    with pytest.raises(NotStartedError, match="there is no script 'dance'; choose one of: echo, survey-manager"):
        await play(backend)
    assert "there is no script" in ((await backend.probe()).problem or "")


async def test_a_prompt_without_mail_is_a_turn_too(seat_for: MakeSeat) -> None:
    """Ours: nothing to answer is nothing to fail at."""
    backend = ScriptedBackend(seat_for(backend="scripted", script="echo"))
    assert (await backend.probe()).problem is None
    with anyio.fail_after(10):
        played = await play(backend, "no frames in here")
    assert played.ended.outcome == "completed"
    assert not played.began


async def test_the_bearer_is_not_in_argv(seat_for: MakeSeat) -> None:
    """Ours: nor is anything else that is secret."""
    backend = ScriptedBackend(seat_for(backend="scripted", script="echo", args=["--loud"]))
    assert backend.argv()[-4:] == ["--state", str(backend.seat.workspace.state), "echo", "--loud"]
    assert "the-bearer" not in " ".join(backend.argv())


async def test_it_does_not_import_from_where_it_runs(seat_for: MakeSeat) -> None:
    """Ours: a file `json.py` in an agent's folder is not our json."""
    seat = seat_for(backend="scripted", script="echo")
    (seat.cwd / "json.py").write_text("raise SystemExit(7)\n")
    with anyio.fail_after(10):
        played = await play(ScriptedBackend(seat), "")
    assert played.ended.outcome == "completed"
