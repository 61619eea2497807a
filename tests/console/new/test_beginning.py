"""From the files of a new fleet to its goal: what is said where it does not get that far."""

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from console.cli import new
from console.cli.options import Options
from tests.console.new.test_plan import plan
from wire.errors import Unavailable


@pytest.mark.parametrize(("answers", "words"), [(0, "was not sent"), (1, "may have been sent")])
def test_what_became_of_the_goal_is_said_as_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: int, words: str
) -> None:
    """Ours: a receipt may get lost behind the commit, and a goal that is sent twice is paid for twice."""
    asked: list[Callable[..., object]] = []

    def converse(_: Options, talk: Callable[..., object]) -> float:
        asked.append(talk)
        if len(asked) > answers:
            raise Unavailable("no answer to inbox.send within 30 s")
        return 1.0

    def ready(_: object) -> dict[str, object]:
        return {"harness": {"refused": {}}}

    def leave(_: object) -> None:
        """Nothing runs."""

    monkeypatch.setattr(new, "start_detached", ready)
    monkeypatch.setattr(new, "converse", converse)
    monkeypatch.setattr(new, "_take_down", leave)

    @click.command()
    def begin() -> None:
        tell = new._Telling(quiet=True)  # pyright: ignore[reportPrivateUsage]
        new._begin(Options(json=True), plan(tmp_path), "Make it good", 1.0, tell)  # pyright: ignore[reportPrivateUsage]

    ended = CliRunner().invoke(begin)
    assert isinstance(ended.exception, Unavailable)
    assert f"the fleet was stopped, and the goal {words}; its files stay" in ended.stderr
