"""Several agents of one harness whose programs stay between turns, as many as there is room for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from harness.backends.choose import backend_for
from harness.supervision.fleet import Fleet
from harness.warmth import Warmth
from tests.fakes.json_lines import lines_in
from tests.fakes.processes import fake
from tests.harness.supervision.conftest import Play


def starts(play: Play, name: str) -> list[dict[str, Any]]:
    """Give what an agent's program was started with, each time."""
    return lines_in(play.house.home.agent_state(name) / "starts.jsonl")


async def turn(play: Play, name: str) -> None:
    """Let an agent have a turn, to its end."""
    mail = play.office.put(name, "say hello")
    await play.office.until(lambda: mail in play.office.boxes[name].handled)


async def test_the_one_that_was_used_least_recently_is_resumed_with_its_next_mail(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    """DESIGN 8: reaped beyond `max_warm`, over all agents of the harness; its session goes on."""
    caplog.set_level("INFO")
    house = replace(play.house, choose=backend_for, warmth=Warmth(2))
    names = ("alice", "bob", "carol")
    for name in names:
        play.add(name, backend="claude", command=fake("claude"), env={"ANTHROPIC_API_KEY": "sk-of-the-test"})
    fleet = Fleet(house, names)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            await tasks.start(fleet.run)
            for name in ("alice", "bob", "alice", "carol", "bob"):
                await turn(play, name)
            await fleet.stop()
            tasks.cancel_scope.cancel()
    reaped = [vars(record)["fields"]["agent"] for record in caplog.records if record.message == "program_reaped"]
    assert reaped == ["bob", "alice"]
    assert [len(starts(play, name)) for name in names] == [1, 2, 1]
    first, second = (start["argv"] for start in starts(play, "bob"))
    assert second[second.index("--resume") + 1] == first[first.index("--session-id") + 1]
    assert not any(Path(f"/proc/{start['pid']}").exists() for name in names for start in starts(play, name))
