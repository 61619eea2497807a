"""Many claimers, few jobs: over real connections, each job is worked on by one, whoever dies meanwhile."""

from collections import Counter
from collections.abc import Iterator

import anyio
import pytest

from tests.fakes.broker import BrokerProcess, Fleet, short_home
from tests.scenarios.fleet import Worker
from wire.client import BrokerClient, new_key
from wire.home import Home
from wire.jobs import JobsClaim, JobsClaimed, JobsRegister, JobsRegistered, JobsSessions, JobsSessionsListed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

CLAIMERS = 16
JOBS = 100
NAMES = [f"agent-{number}" for number in range(CLAIMERS)]


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


async def register(operator: BrokerClient, number: int) -> str:
    """Register a job that whoever is free claims."""
    request = JobsRegister(key=new_key(), prompt=f"job {number}")
    return (await operator.call(request, JobsRegistered)).job


async def claim_all(worker: Worker, claims: list[tuple[str, JobsClaimed]], claimed: anyio.Event | None = None) -> None:
    """Claim until nothing is left."""
    while True:
        request = JobsClaim(key=new_key())
        one = await worker.client.call(request, JobsClaimed, as_=worker.as_)
        if one.job is None:
            return
        claims.append((worker.name, one))
        if claimed is not None and len(claims) >= JOBS // 3:
            claimed.set()


async def check(fleet: Fleet, jobs: list[str], claims: list[tuple[str, JobsClaimed]]) -> None:
    """Each job was given once, with a secret of its own, and the registry says to whom."""
    told = [(one.job.id, one.job.epoch, name) for name, one in claims if one.job is not None]
    assert Counter(job for job, _, _ in told) == Counter(jobs)
    assert {epoch for _, epoch, _ in told} == {1}
    assert len({one.secret for _, one in claims}) == JOBS
    listed = await (await fleet.operator()).call(JobsSessions(limit=JOBS), JobsSessionsListed)
    assert listed.next is None
    assert sorted((one.job, one.epoch, one.claimed_by) for one in listed.sessions) == sorted(told)


async def test_sixteen_claimers_get_each_of_a_hundred_jobs_once(home: Home) -> None:
    """DESIGN 7, issue 5: atomically, each on a connection of its own, all at once."""
    async with BrokerProcess(home) as fleet:
        await fleet.add(*NAMES)
        workers = [await fleet.worker(name) for name in NAMES]
        operator = await fleet.operator()
        jobs = [await register(operator, number) for number in range(JOBS)]
        claims: list[tuple[str, JobsClaimed]] = []
        async with anyio.create_task_group() as group:
            for worker in workers:
                group.start_soon(claim_all, worker, claims)
        await check(fleet, jobs, claims)
        assert len({name for name, _ in claims}) > 1


async def test_a_broker_that_is_killed_among_them_gives_none_twice(home: Home) -> None:
    """DESIGN 4, 7: a claim that was committed and not answered is answered again under its key, with its secret."""
    async with BrokerProcess(home) as fleet:
        await fleet.add(*NAMES)
        workers = [await fleet.worker(name) for name in NAMES]
        operator = await fleet.operator()
        jobs = [await register(operator, number) for number in range(JOBS)]
        claims: list[tuple[str, JobsClaimed]] = []
        some = anyio.Event()
        async with anyio.create_task_group() as group:
            for worker in workers:
                group.start_soon(claim_all, worker, claims, some)
            await some.wait()
            await fleet.restart()
        await check(fleet, jobs, claims)
