"""A task group for a body that somebody else wrote."""

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from harness.backends.tasks import ended_by, task_group


async def test_an_error_of_the_body_ends_the_tasks_and_comes_out_as_it_is() -> None:
    """Ours: callers ask for `NotStartedError` by its name, and a group would hide it."""
    ended = anyio.Event()

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async def fail() -> None:
        async with task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            raise ValueError("by the test")

    with anyio.fail_after(30), pytest.raises(ValueError, match="by the test"):
        await fail()
    assert ended.is_set()


async def test_without_an_error_the_tasks_are_awaited() -> None:
    """Ours: as any task group does; whoever wants them ended says so."""
    done: list[str] = []

    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        done.append("work")

    with anyio.fail_after(30):
        async with task_group() as tasks:
            tasks.start_soon(work)
    assert done == ["work"]


async def test_an_error_of_a_task_comes_out_in_a_group() -> None:
    """Ours: it is nobody's whom the caller asked, and is not taken for the body's."""

    async def fail() -> None:
        raise ValueError("of a task")

    async def run() -> None:
        async with task_group() as tasks:
            tasks.start_soon(fail)
            await anyio.sleep_forever()

    with anyio.fail_after(30), pytest.raises(ExceptionGroup) as caught:
        await run()
    assert caught.group_contains(ValueError, match="of a task")


async def test_a_body_that_is_cancelled_stays_cancelled() -> None:
    """Ours: cancellation is no error, and is never swallowed."""
    with anyio.move_on_after(0) as scope:
        async with task_group():
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def test_what_ends_with_its_body_is_ended_before_it_is_cancelled() -> None:
    """Ours: a program ends politely first, also where the body has failed; cancelled, it is ended all the same."""
    story: list[str] = []

    async def serve() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            story.append("cancelled")

    async def end() -> None:
        await anyio.lowlevel.checkpoint()
        story.append("ended")

    async def run(body: Callable[[], Awaitable[None]]) -> None:
        async with ended_by(end) as tasks:
            tasks.start_soon(serve)
            await anyio.lowlevel.checkpoint()
            await body()

    async def fail() -> None:
        raise ValueError("by the test")

    with anyio.fail_after(30):
        await run(anyio.lowlevel.checkpoint)
        with pytest.raises(ValueError, match="by the test"):
            await run(fail)
        with anyio.CancelScope() as scope:

            async def leave() -> None:
                scope.cancel()
                await anyio.sleep_forever()

            await run(leave)
    assert story[:4] == ["ended", "cancelled"] * 2
    assert sorted(story[4:]) == ["cancelled", "ended"], "cancelled from outside, all of it is at once"
