"""`queenpost down --drain`: waiting until the turns that run have ended, and saying for which."""

import os
import signal
from contextlib import suppress
from functools import partial

import anyio
from anyio.abc import TaskStatus

from console.cli.connecting import KIND
from console.cli.homes import token_of_home
from console.cli.screen import note, safe
from console.supervisor.lock import holder
from console.supervisor.signals import DRAINING
from wire.client import BrokerClient
from wire.errors import QueenpostError
from wire.fleet import FleetState, FleetStatus
from wire.home import Home

LOOK_EVERY_S = 0.5
ENDS_WITHIN_S = 0.05
"""How often it is looked whether the fleet is gone."""


async def drain(home: Home, pid: int, within_s: float, *, quiet: bool) -> bool:
    """Have `queenpost up` end behind the turns that run, and wait for that; False where the wait ended first.

    It ends after `within_s`, and with the second Ctrl-C. The fleet drains on then: whoever asked has to stop it.
    """
    with suppress(ProcessLookupError):  # it ended by itself since
        os.kill(pid, DRAINING)
    with anyio.move_on_after(within_s):
        async with anyio.create_task_group() as tasks:
            await tasks.start(_end_on_second_ctrl_c, tasks.cancel_scope)
            if not quiet:
                tasks.start_soon(_tell_who_works, home)
            while holder(home.up_lock) == pid:  # noqa: ASYNC110  # it is not our child, so nothing tells of its end
                await anyio.sleep(ENDS_WITHIN_S)
            tasks.cancel_scope.cancel()
    return holder(home.up_lock) != pid


async def _end_on_second_ctrl_c(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        seen = 0
        async for _ in signals:
            seen += 1
            if seen > 1:
                scope.cancel()
            note("waiting for the turns that run; Ctrl-C again ends them now, and their mail goes back")


async def _tell_who_works(home: Home) -> None:
    """Say it whenever it changes. Not being able to say it is no reason to end: the broker goes last."""
    last = ""
    try:
        async with BrokerClient(home.socket, partial(token_of_home, home, None), KIND, reconnect=False) as client:
            while True:
                words = who_works(await client.call(FleetStatus(), FleetState))
                if words != last:
                    note(words)
                last = words
                await anyio.sleep(LOOK_EVERY_S)
    except QueenpostError:
        return


def who_works(fleet: FleetState) -> str:
    """Name the turns that are waited for; those of sessions of their own are not."""
    turns = [(agent, agent.last_turn) for agent in fleet.agents if agent.backend != "none"]
    names = [safe(f"{agent.name} {turn.id}") for agent, turn in turns if turn is not None and turn.state == "open"]
    if not names:
        return "no turn runs"
    return f"waiting for {len(names)} turn{'' if len(names) == 1 else 's'}: {', '.join(names)}"
