"""`queenpost new` with the real Claude Code: from a sentence to a report, and what a user then sees."""

import json
from pathlib import Path

import pytest

from tests.e2e.on_path import user_with
from tests.e2e.programs import need
from tests.e2e.team import Team
from tests.fakes.models.server import ModelServer

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_a_goal_is_handed_out_answered_and_reported(home: Path, models: ModelServer) -> None:
    """Issue 4, item 10: finds Claude Code, proves a turn, sends the goal; the view ends with the manager's report."""
    team = Team()
    user = user_with(need("claude"), home, models.open("team", team))
    try:
        shown = await user.type("new", "Look at both parts")
        assert shown.returncode == 0, shown.stdout + shown.stderr
        status = await user.type("status", "--json")
    finally:
        await user.type("down")
    for words in ("program   Claude Code", "handled a message in", "goal      m2 to manager", "Look at part 2.",
                  "worker-2 is through", "Both have answered.", "The manager has reported"):  # fmt: skip
        assert words in shown.stdout
    account = json.loads(status.stdout)["account"]
    assert (account["lost"], account["waiting"], account["dead"]) == (0, 0, 0)
    assert [letter.in_reply_to for _, letter in team.heard if letter.sender == "manager"] == ["m2", "m2"]
