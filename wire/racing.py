"""Several waits at once, of which the first that ends decides."""

from collections.abc import Awaitable, Callable

import anyio


async def first_of(*tasks: Callable[[], Awaitable[object]]) -> None:
    """Run all until one ends, then cancel the others. An error of any is raised as itself, not in a group."""
    failed: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def run(task: Callable[[], Awaitable[object]]) -> None:
            try:
                await task()
            except Exception as exc:  # noqa: BLE001  # raised behind the group, which would wrap it
                failed.append(exc)
            group.cancel_scope.cancel()

        for task in tasks:
            group.start_soon(run, task)
    if failed:
        raise failed[0]
