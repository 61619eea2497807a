"""Time-outs of jobs in a running broker: kept by the timekeeper, told only while events are heard."""

from collections.abc import Iterator

import pytest

from broker.services.job_monitor import HEARING_MS
from tests.fakes.broker import LocalBroker, short_home
from wire.client import new_key
from wire.clock import FakeClock
from wire.home import Home
from wire.jobs import Job, JobsClaim, JobsClaimed, JobsRegister, JobsRegistered, JobsShow, JobsShown

pytestmark = pytest.mark.anyio


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


async def looked_at(fleet: LocalBroker, job: str) -> Job:
    """Do what is due, and look at a job."""
    await fleet.keeper.do_what_is_due()
    shown = await (await fleet.operator()).call(JobsShow(job=job), JobsShown)
    assert shown.job is not None
    return shown.job


async def test_a_job_is_overdue_once_it_was_silent_where_it_could_be_heard(home: Home) -> None:
    """DESIGN 7: the MQTT broker is away for an hour; nobody is blamed for it."""
    clock = FakeClock()
    heard_for_ms = 0
    async with LocalBroker(home, clock=clock) as fleet:
        fleet.office.hears_for_ms = lambda: heard_for_ms
        operator = await fleet.operator()
        made = await operator.call(JobsRegister(key=new_key(), prompt="count", timeout_s=60.0), JobsRegistered)
        await operator.call(JobsClaim(key=new_key(), job=made.job), JobsClaimed)
        clock.advance(3_600_000)
        deaf = await looked_at(fleet, made.job)
        assert (deaf.overdue, deaf.due_at_ms) == (False, clock.now_ms() + HEARING_MS)
        heard_for_ms = HEARING_MS
        clock.advance(HEARING_MS)
        assert (await looked_at(fleet, made.job)).overdue
