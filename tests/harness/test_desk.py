"""The desk of a hosted agent."""

import anyio
import pytest

from harness.desk import CALLS_AT_ONCE, RECVS_AT_ONCE, HarnessDesk
from harness.post import Post
from tests.fakes.post_office import PostOffice
from wire.agents import AgentsAttach, AgentsAttached, AgentsWho, AgentsWhoami
from wire.errors import Closed, Unknown
from wire.inbox import InboxSend, InboxSent
from wire.turns import TurnsOpen, TurnsOpened

OWN = 3
"""What the turn loop itself may have in flight: open or close, renew, report."""


@pytest.fixture
async def desk(office: PostOffice) -> HarnessDesk:
    """Alice's desk."""
    office.add("alice")
    await office.call(AgentsAttach(agent="alice", instance="of-the-test"), AgentsAttached)
    return HarnessDesk(Post(office, "alice"), "agent")


async def test_calls_are_made_as_the_agent(desk: HarnessDesk) -> None:
    """Ours: whose desk it is comes from its bearer, never from an argument."""
    assert (await desk.call(AgentsWhoami(), AgentsWho)).name == "alice"


async def test_refusals_reach_the_tool(desk: HarnessDesk) -> None:
    """Ours: as the broker worded them."""
    with pytest.raises(Unknown, match="has no InboxSend"):
        await desk.call(InboxSend(key="k", to="bob", body="hi"), InboxSent)


async def test_outside_of_a_turn_no_job_is_worked_on(office: PostOffice, desk: HarnessDesk) -> None:
    """Ours: nothing would say which turn it was, and the monitor looks at turns."""
    for attempt in (desk.claim_job(), desk.claims.publish("progress", "", {}, "j-a")):
        with pytest.raises(Closed, match="yours has ended"):
            await attempt
    assert "jobs.claim" not in office.asked


async def test_tools_leave_room_for_the_loop(office: PostOffice, desk: HarnessDesk) -> None:
    """Ours: many recvs at once must not keep the lease from being renewed; the broker takes eight an agent."""
    assert CALLS_AT_ONCE + RECVS_AT_ONCE + OWN <= 8
    office.put("alice")
    opened = await office.call(TurnsOpen(wait_s=0), TurnsOpened, as_="alice")
    assert opened.turn

    async def recv() -> None:
        await desk.recv(maximum=1, wait_s=60, done=None)

    with anyio.fail_after(10), desk.serving(opened.turn):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(recv)
            await anyio.wait_all_tasks_blocked()
            assert office.asked.count("turns.take") == RECVS_AT_ONCE
            tasks.cancel_scope.cancel()
