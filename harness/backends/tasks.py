"""Task groups for a body that somebody else wrote: what goes wrong in the body is asked for by its name."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def task_group() -> AsyncGenerator[TaskGroup]:
    """As `anyio.create_task_group`, but an error of the body ends the tasks and comes out as it is, not in a group.

    An error of a task comes out in a group all the same: it is not the body's.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as exc:  # noqa: BLE001  # not ours: raised behind the group, which would wrap it
            failure = exc
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


@asynccontextmanager
async def ended_by(end: Callable[[], Awaitable[None]]) -> AsyncGenerator[TaskGroup]:
    """As `task_group`, ended with its body: `end` is awaited, whatever happens, then what still runs is cancelled."""
    async with task_group() as tasks:
        try:
            yield tasks
        finally:
            with anyio.CancelScope(shield=True):
                await end()
            tasks.cancel_scope.cancel()
