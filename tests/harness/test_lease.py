"""Keeping a turn while its program lives."""

import anyio

from harness.lease import Lease
from harness.open_turn import OpenTurn
from harness.post import Post
from tests.fakes.post_office import Box, PostOffice
from wire.agents import AgentsAttach, AgentsAttached
from wire.errors import Stale, Unavailable
from wire.turns import TurnsOpen, TurnsOpened, TurnsRenew


async def lease_over(office: PostOffice, *, every_s: float) -> tuple[Box, Lease]:
    """Open a turn of alice and hold it."""
    box = office.add("alice")
    office.put("alice")
    await office.call(AgentsAttach(agent="alice", instance="of-the-test"), AgentsAttached)
    opened = await office.call(TurnsOpen(wait_s=0), TurnsOpened, as_="alice")
    assert opened.turn
    post = Post(office, "alice")
    return box, Lease(OpenTurn(opened.turn, post), post, every_s=every_s)


async def test_it_is_renewed_again_and_again(office: PostOffice) -> None:
    """Ours: DESIGN 5.6."""
    box, lease = await lease_over(office, every_s=0.001)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lease.keep)
            await office.until(lambda: box.renewals >= 3)
            tasks.cancel_scope.cancel()
    assert not box.begun


async def test_the_first_word_is_told_at_once(office: PostOffice) -> None:
    """Ours: should nobody be left to close the turn, the broker knows that the model had begun."""
    box, lease = await lease_over(office, every_s=3600)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lease.keep)
            lease.begin()
            await office.until(lambda: box.begun)
            tasks.cancel_scope.cancel()


async def test_a_broker_that_is_away_ends_no_turn(office: PostOffice) -> None:
    """[H21]: a transient error is no reason to give up."""
    box, lease = await lease_over(office, every_s=0.001)
    office.refuse(TurnsRenew, *[Unavailable("starting")] * 3)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lease.keep)
            await office.until(lambda: box.renewals >= 2)
            tasks.cancel_scope.cancel()


async def test_a_lapsed_turn_is_taken_back(office: PostOffice) -> None:
    """Ours: after a suspend, as long as nobody else has its mail."""
    box, lease = await lease_over(office, every_s=0.001)
    office.refuse(TurnsRenew, Stale("it lapsed; try turns.resume"))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lease.keep)
            await office.until(lambda: box.renewals >= 2)
            tasks.cancel_scope.cancel()
    assert "turns.resume" in office.asked


async def test_a_turn_that_went_elsewhere_is_let_go(office: PostOffice) -> None:
    """[P14]: keeping returns, and the program is ended."""
    _, lease = await lease_over(office, every_s=0.001)
    office.lapse("alice")
    with anyio.fail_after(10):
        await lease.keep()
