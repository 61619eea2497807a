"""The demo itself: ask the manager, kill a worker's program, wait for the report, take the account.

It prints nothing: what happens is read from the broker's log by whoever tells it.
"""

from collections.abc import Awaitable, Callable

import anyio

from console.demo.accident import Accident, kill_in_the_middle
from console.demo.stage import MANAGER, VICTIM, Stage
from console.demo.verdict import Play
from wire.client import BrokerClient, new_key
from wire.fleet import FleetState, FleetStatus
from wire.inbox import InboxExplain, InboxExplained, InboxList, InboxListed, InboxSend, InboxSent

LOOK_EVERY_S = 0.1

Say = Callable[[str], None]


async def play(stage: Stage, client: BrokerClient, outcome: Play, on_kill: Callable[[Accident], None]) -> None:
    """Play it to the end; `outcome` holds what is known at any moment, should it be cut short."""
    request = InboxSend(to=MANAGER, body=stage.request, key=new_key())
    outcome.request = (await client.call(request, InboxSent)).id
    async with anyio.create_task_group() as tasks:

        async def accident() -> None:
            outcome.accident = await kill_in_the_middle(stage.home, VICTIM)
            on_kill(outcome.accident)

        tasks.start_soon(accident)
        outcome.report = await _first(lambda: _report(client, outcome.request or ""))
        # The report needs every worker's answer: if nobody was killed until now, nobody will be.
        tasks.cancel_scope.cancel()
    outcome.account = (await _first(lambda: _settled(client))).account
    for message in outcome.accident.mail if outcome.accident else []:
        outcome.stories.append(await client.call(InboxExplain(message=message), InboxExplained))
