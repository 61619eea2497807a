"""A turn that ended without the end of its job, as the monitor sees it, with every program but on a clock of ours."""

import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from broker.services.job_monitor import GRACE_MS
from harness.app import HarnessSettings, run
from tests.fakes.broker import LocalBroker, short_home
from wire.client import BrokerClient, new_key
from wire.clock import FakeClock
from wire.inbox import InboxList, InboxListed, Item
from wire.jobs import JobEvent, JobsRegister, JobsRegistered, JobsSessions, JobsSessionsListed, JobsShow, JobsShown

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

T = TypeVar("T")

PATIENCE_S = 60

LEAVES_IT = """
def run(agent):
    agent.say("I leave it at that")
"""


@asynccontextmanager
async def hosting(broker: LocalBroker, folder: Path) -> AsyncGenerator[BrokerClient]:
    """Host an agent that says nothing of its jobs; gives the operator's connection."""
    script = folder / "leaves.py"
    script.write_text(LEAVES_IT, encoding="utf-8")
    await broker.add("alice", backend="scripted", script=str(script))
    ready = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(run, HarnessSettings(broker.home), say=lambda line: ready.set()))
        await ready.wait()
        yield await broker.operator()
        os.kill(os.getpid(), signal.SIGTERM)


async def mailbox(operator: BrokerClient) -> list[Item]:
    """Give the operator's mail."""
    return (await operator.call(InboxList(), InboxListed)).items


async def said(operator: BrokerClient, job: str) -> list[JobEvent]:
    """Give what a job has said."""
    return (await operator.call(JobsShow(job=job), JobsShown)).events


async def some(look: Callable[[], Awaitable[list[T]]]) -> list[T]:
    """Look until there is something."""
    while not (seen := await look()):  # noqa: ASYNC110  # nothing announces it
        await anyio.sleep(0.02)
    return seen


async def test_a_job_that_its_turn_left_open_is_reported_once_and_goes_on(tmp_path: Path) -> None:
    """[X09] DESIGN 7: after a grace for the mail to come again; the session is closed, the job is not."""
    clock = FakeClock()
    with short_home() as home, anyio.fail_after(PATIENCE_S):
        async with LocalBroker(home, clock=clock) as broker, hosting(broker, tmp_path) as operator:
            made = await operator.call(JobsRegister(key=new_key(), prompt="x", to="alice"), JobsRegistered)
            assert made.message is not None
            await some(partial(said, operator, made.job))
            while (await broker.state_of(made.message)) != "handled":  # noqa: ASYNC110  # nothing announces it
                await anyio.sleep(0.02)
            assert await mailbox(operator) == []
            clock.advance(GRACE_MS + 1000)
            told = await some(partial(mailbox, operator))
            assert [item.sender for item in told] == ["system"]
            assert f"job {made.job} is still open: alice's turn t1 ended (completed)" in told[0].body
            (session,) = (await operator.call(JobsSessions(), JobsSessionsListed)).sessions
            assert (session.state, session.turn) == ("terminated", "t1")
            shown = await operator.call(JobsShow(job=made.job), JobsShown)
            assert shown.job is not None
            assert shown.job.state == "running"
            assert [event.event for event in shown.events] == ["started"]
