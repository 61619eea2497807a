"""`queenpost demo --backend` with the real programs: the demo's job, a kill in the middle, an honest account."""

import json
from pathlib import Path

import pytest

from tests.e2e.on_path import user_with
from tests.e2e.programs import Program
from tests.e2e.team import Team
from tests.fakes.models.mail import Letter
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Heard, Reply, Tool, ToolCall

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(300)]

WORDS = {"gemini": ("--model", "gemini-2.5-pro")}
"""Without a name it asks a small model which one to take, and that is no part of a script."""


def hangs_at_first(team: Team, name: str, task: Letter, heard: Heard) -> Reply | None:
    """Have worker-1 begin its task, and think until it is killed; the second attempt answers."""
    if name != "worker-1" or task.attempt > 1:
        return None
    if heard.results:
        return Reply("Now").once(team.never)
    return Reply("I begin.", calls=(ToolCall(Tool("whoami"), {}),))


async def test_the_demo_does_its_job_with_a_real_program(home: Path, models: ModelServer, program: Program) -> None:
    """Issue 4, item 10: killed in the middle, its mail handled in a later turn, lost 0, a report, what it cost."""
    user = user_with(program, home, models.open("team", Team(hangs_at_first)))
    (user.folder / "a.py").write_text("print(1)\n", encoding="utf-8")
    shown = await user.type("demo", "--backend", program.name, "--yes", "--json", *WORDS.get(program.name, ()))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    told = json.loads(shown.stdout)
    assert (told["ok"], told["problems"], told["home"]) == (True, [], None)
    assert (told["account"]["lost"], told["account"]["waiting"]) == (0, 0)
    (back,) = told["came_back"]
    assert back["state"] == "handled"
    assert back["attempt"] >= 2  # a program that was killed may not know its session any more
    assert back["turn"] != told["killed"]["turn"]
    assert "Both have answered." in told["report"]
    assert told["tokens"] > 0
