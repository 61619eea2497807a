"""The order of a fleet: broker, then harness, and the other way round at the end."""

from dataclasses import dataclass

import anyio
from anyio.abc import TaskStatus

from console.supervisor.keeper import Ended, Keeper, Program, Said, Tell

HARNESS_GRACE_S = 6.0
"""Running turns are interrupted within 2 s; the rest is for slow machines. Both graces stay below 10 s."""
BROKER_GRACE_S = 3.0


@dataclass(frozen=True, slots=True)
class Ready:
    """What the programs said when they were ready for the first time; None of a harness that failed."""

    broker: Said
    harness: Said | None


async def supervise(
    broker: Program,
    harness: Program,
    tell: Tell,
    stop: anyio.Event,
    drain: anyio.Event | None = None,
    *,
    task_status: TaskStatus[Ready] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Run both until `stop` is set; then the harness is stopped first, and the broker when it is gone.

    Once `drain` is set, the harness may first let the turns that run finish, for as long as they take.

    Started, in the sense of the task status, when both are ready or the harness failed. A harness that failed
    leaves the broker running: it still accepts mail.

    Raises:
        Ended: the broker ended for good; the harness was stopped.
    """
    async with anyio.create_task_group() as brokers:
        async with anyio.create_task_group() as harnesses:
            with anyio.CancelScope() as body:
                harnesses.start_soon(_cancel_when, stop, body)
                said = await brokers.start(Keeper(broker, tell).keep)
                keeper = Keeper(harness, tell)
                harness_said = await harnesses.start(_keep_or_fail, keeper)
                task_status.started(Ready(said, harness_said))
                await (drain or anyio.Event()).wait()
                await keeper.drain()
            harnesses.cancel_scope.cancel()
        brokers.cancel_scope.cancel()


async def _cancel_when(stop: anyio.Event, scope: anyio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()


async def _keep_or_fail(keeper: Keeper, *, task_status: TaskStatus[Said | None] = anyio.TASK_STATUS_IGNORED) -> None:
    try:
        await keeper.keep(task_status=task_status)
    except Ended:
        if not keeper.was_ready:
            task_status.started(None)
