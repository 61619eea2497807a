"""The demo itself: give the manager a job, kill a worker's program, wait for the report, take the account.

It prints nothing: what happens is read from the broker's log by whoever tells it.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from console.demo.accident import Accident, kill_in_the_middle
from console.demo.bounding import beyond, spent
from console.demo.cast import MANAGER, VICTIM
from console.demo.stage import Stage
from console.demo.verdict import Play
from wire.client import BrokerClient, new_key
from wire.fleet import FleetState, FleetStatus
from wire.inbox import InboxExplain, InboxExplained, InboxList, InboxListed
from wire.jobs import (
    MAX_SHOWN,
    JobsList,
    JobsListed,
    JobsRegister,
    JobsRegistered,
    JobsShow,
    JobsShown,
)

T = TypeVar("T")

LOOK_EVERY_S = 0.1


async def play(stage: Stage, client: BrokerClient, outcome: Play, on_kill: Callable[[Accident], None]) -> None:
    """Play it to the end; `outcome` holds what is known at any moment, should it be cut short."""
    request = JobsRegister(to=MANAGER, prompt=stage.request, key=new_key())
    registered = await client.call(request, JobsRegistered)
    outcome.job, outcome.request = registered.job, registered.message
    outcome.needs_ends = stage.cast.known is None
    async with anyio.create_task_group() as tasks:

        async def accident() -> None:
            outcome.accident = await kill_in_the_middle(stage.home, VICTIM, scripted=stage.cast.known is None)
            on_kill(outcome.accident)

        async def bound() -> None:
            outcome.failure = await beyond(client, stage.cast.bounds)
            tasks.cancel_scope.cancel()

        tasks.start_soon(accident)
        if stage.cast.known is not None:
            tasks.start_soon(bound)
        outcome.report = await _first(lambda: _report(client, outcome.request or ""))
        # The report needs every worker's answer: if nobody was killed until now, nobody will be.
        tasks.cancel_scope.cancel()
    if outcome.failure is None:
        await _first(lambda: _settled(client, needs_ends=outcome.needs_ends))


async def take_account(client: BrokerClient, outcome: Play) -> None:
    """Ask the broker what became of all mail, and of what the killed program had in its hands."""
    for message in outcome.accident.mail if outcome.accident else []:
        outcome.stories.append(await client.call(InboxExplain(message=message), InboxExplained))
    listed = await client.call(JobsList(all=True, limit=MAX_SHOWN), JobsListed)
    for job in reversed(listed.jobs):
        outcome.jobs.append(await client.call(JobsShow(job=job.id, limit=MAX_SHOWN), JobsShown))
    fleet = await client.call(FleetStatus(), FleetState)
    outcome.account = fleet.account
    outcome.tokens, outcome.cost_usd = spent(fleet)


async def _first(look: Callable[[], Awaitable[T | None]]) -> T:
    """Look until there is something to see."""
    while (seen := await look()) is None:  # noqa: ASYNC110  # the other process has no event for it
        await anyio.sleep(LOOK_EVERY_S)
    return seen


async def _report(client: BrokerClient, request: str) -> str | None:
    """Find the answer to the request in the operator's mailbox. Looking marks nothing as read."""
    listed = await client.call(InboxList(), InboxListed)
    answers = [item.body for item in listed.items if item.in_reply_to == request]
    return answers[0] if answers else None


async def _settled(client: BrokerClient, *, needs_ends: bool) -> FleetState | None:
    """Give the fleet once every job has ended where that is to be, no mail waits, and no turn is open."""
    running = (await client.call(JobsList(), JobsListed)).jobs if needs_ends else []
    state = await client.call(FleetStatus(), FleetState)
    busy = any(agent.state == "working" for agent in state.agents)
    return None if running or busy or state.account.waiting else state
