"""What whoever comes late sees of a job's end, over a real MQTT broker; and one that takes no word of ours."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from broker.store.tx import Tx
from tests.broker.bridge.test_outside import fleet_with, quiet
from tests.fakes.broker import BrokerProcess, Fleet, short_home
from tests.fakes.jobbing import PROGRAMS, jobbing, worker
from tests.fakes.outside import Outside, needs_mosquitto
from wire.client import new_key
from wire.jobs import JobsCancel, JobsChanged, JobsTransport, JobsTransported
from wire.mqtt import Heard, connected
from wire.records import transport_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

LOOK_S = 0.5
"""A look that was too short is taken again."""


@pytest.fixture(params=PROGRAMS)
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[BrokerProcess]:
    """A broker whose own MQTT broker is the one or the other."""
    async with jobbing(request.param) as fleet:
        yield fleet


async def cancelled(fleet: Fleet, job: str) -> None:
    """Cancel a job."""
    operator = await fleet.operator()
    await operator.call(JobsCancel(key=new_key(), job=job), JobsChanged)


async def retained(fleet: Fleet, topic: str) -> Heard | None:
    """Come late: what is retained now, if anything."""
    told = await (await fleet.operator()).call(JobsTransport(user="watcher"), JobsTransported, timeout_s=40)
    async with connected(transport_of(told), "late", clean=True) as line:
        await line.subscribe(topic)
        with anyio.move_on_after(LOOK_S):
            return await anext(aiter(line.heard))
    return None


async def ends_with(fleet: Fleet, topic: str, word: bytes) -> None:
    """Wait until this is what who comes late sees."""
    with anyio.fail_after(60):
        while (seen := await retained(fleet, topic)) is None or word not in seen.payload:  # noqa: ASYNC110  # a look
            await anyio.sleep(0.01)


async def test_who_comes_late_sees_the_end_that_was_recorded(fleet: BrokerProcess) -> None:
    """[X06] Issue 5: neither a fenced claimant's end, nor a forged one, nor a clearing stays in its place."""
    one = await worker(fleet)
    await cancelled(fleet, one.job.id)
    await ends_with(fleet, one.claimed.topic, b'"event":"cancelled"')
    forger = replace(one, claimed=one.claimed.model_copy(update={"secret": "x" * 43}))
    async with one.line() as line:
        for payload in (one.signed("completed"), forger.signed("error"), b""):
            await line.publish(one.claimed.topic, payload, retain=True)
            await ends_with(fleet, one.claimed.topic, b'"event":"cancelled"')


@needs_mosquitto
async def test_a_word_that_is_not_taken_keeps_back_nothing(tmp_path: Path) -> None:
    """Ours: an MQTT broker that hangs up over what is retained; what comes behind it is heard all the same."""
    outside = Outside(tmp_path / "o", lines=["retain_available false"])
    with short_home() as home:
        async with outside.running(), fleet_with(home, outside) as fleet:
            gone = [await worker(fleet) for _ in range(2)]
            for one in gone:
                await cancelled(fleet, one.job.id)
            other = await worker(fleet)
            async with other.line() as line:
                await line.publish(other.claimed.topic, other.signed("completed"))
                assert (await other.until("completed")).events == 1
            await quiet(fleet)
            with anyio.fail_after(60):
                while await fleet.office.writer.run(_is_left):  # noqa: ASYNC110  # nothing announces it
                    await anyio.sleep(0.01)


def _is_left(tx: Tx) -> bool:
    return tx.one("jobs.open_or_said") is not None
