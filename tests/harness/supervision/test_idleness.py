"""What agents that have nothing to do ask of the broker: once to attach, once to say so, once for mail."""

from collections import Counter

import anyio

from harness.supervision.fleet import Fleet
from tests.harness.supervision.conftest import Play

CROWD = 50
TURNS = 5

PARKED = {"agents.list": 1, "agents.attach": CROWD, "agents.report": CROWD, "turns.open": CROWD}


async def test_idle_agents_ask_for_nothing_whatever_the_others_do(play: Play) -> None:
    """[P02] DESIGN 8: no mail, no model call; and a busy neighbour makes no traffic for those who wait."""
    boxes = [play.add(f"agent-{number}") for number in range(CROWD)]
    fleet = Fleet(play.house, ())
    asked = play.office.asked
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            await tasks.start(fleet.run)
            await play.office.until(lambda: asked.count("turns.open") == CROWD)
            await anyio.wait_all_tasks_blocked()
            assert Counter(asked) == PARKED
            for number in range(TURNS):
                mail = play.office.put("agent-0")
                (await play.program_of("agent-0")).ends()
                await play.office.until(lambda mail=mail: mail in boxes[0].handled)
                await play.office.until(lambda number=number: asked.count("turns.open") == CROWD + number + 1)
            since = Counter(asked) - Counter(PARKED)
            assert since["turns.open"] == since["turns.close"] == TURNS
            assert since["agents.attach"] == 0
            assert [name for name in play.backends if play.backends[name].started] == ["agent-0"]
            await fleet.stop()
            tasks.cancel_scope.cancel()
