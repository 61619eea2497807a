"""What comes to the bridge late, early, over a wrong topic, with a strange clock, or faster than it can be recorded."""

from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256

import anyio
import pytest

from tests.fakes.broker import BrokerProcess
from tests.fakes.jobbing import PROGRAMS, jobbing, worker
from wire import mqtt
from wire.canonical import MAX_BYTES
from wire.errors import Invalid
from wire.jobs import JobsTransport, JobsTransported
from wire.mqtt import TooLong, connected
from wire.records import transport_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture(params=PROGRAMS)
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[BrokerProcess]:
    """A broker whose own MQTT broker is the one or the other."""
    async with jobbing(request.param) as fleet:
        yield fleet


async def test_a_retained_end_that_comes_first_ends_the_job_and_stays_its_end(fleet: BrokerProcess) -> None:
    """[X06] Issue 5: the end overtakes what came before it; it comes again with each subscription of the bridge."""
    one = await worker(fleet)
    early = [one.signed("started"), one.signed("progress")]
    end = one.signed("completed", detail="done")
    async with one.line() as line:
        await line.publish(one.claimed.topic, end, retain=True)
        assert (await one.until("completed")).events == 1
    await fleet.kill()
    await fleet.start()
    operator = await fleet.operator()
    again = replace(one, transport=await operator.call(JobsTransport(), JobsTransported, timeout_s=40))
    async with again.line() as line:
        for payload in [*early, end]:
            await line.publish(one.claimed.topic, payload, retain=payload is end)
        with anyio.fail_after(60):
            while (watched := await again.shown()).job is None or len(watched.events) < 3:  # noqa: ASYNC110
                await anyio.sleep(0.01)
    told = [(event.event, event.verdict) for event in sorted(watched.events, key=lambda event: event.seq)]
    assert told == [("started", "late"), ("progress", "late"), ("completed", "accepted")]
    assert watched.job is not None
    assert (watched.job.state, watched.job.detail) == ("completed", "done")


async def test_topic_and_payload_have_to_agree_and_clocks_do_not(fleet: BrokerProcess) -> None:
    """[X15] Issue 5: a good event over the topic of another job is nobody's; the publisher's clock is advisory."""
    one, two = await worker(fleet), await worker(fleet)
    stray = one.event("completed", 1)
    skewed = [
        one.event("started", 1, timestamp="1999-12-31T23:59:59.999Z"),
        one.event("progress", 2, timestamp="2199-01-01T00:00:00.000Z"),
    ]
    async with one.line() as line:
        await line.publish(two.claimed.topic, stray)
        for payload in skewed:
            await line.publish(one.claimed.topic, payload)
        await line.publish(two.claimed.topic, two.signed("completed"))
        assert (await two.until("completed")).events == 1
        with anyio.fail_after(60):
            while len((watched := await one.shown()).events) < 2:  # noqa: ASYNC110  # one commit may hold the first alone
                await anyio.sleep(0.01)
    assert [event.event for event in watched.events] == ["started", "progress"]
    assert watched.job is not None
    assert watched.job.state == "running"


async def test_an_event_may_be_as_long_as_said_and_no_longer(fleet: BrokerProcess) -> None:
    """Issue 5: up to the limit over either broker; beyond it the publisher hears so before anything was kept."""
    one = await worker(fleet)
    short = one.event("started", 1, data={"fill": ""})
    whole = one.event("started", 1, data={"fill": "x" * (MAX_BYTES - len(short))})
    assert len(whole) == MAX_BYTES
    with pytest.raises(Invalid, match=f"at most {MAX_BYTES}"):
        one.event("started", 1, data={"fill": "x" * (MAX_BYTES - len(short) + 1)})
    async with one.line() as line:
        await line.publish(one.claimed.topic, b"x" * (MAX_BYTES + 1))
        await line.publish(one.claimed.topic, whole)
        watched = await one.shown()
    assert (len(watched.events), watched.refused) == (1, {"not_canonical": 1})


async def test_of_what_is_longer_than_an_event_only_length_and_digest_are_held(fleet: BrokerProcess) -> None:
    """Issue 5: what waits to be judged is bounded in bytes too, whatever the MQTT broker lets through."""
    one = await worker(fleet)
    told = await (await fleet.operator()).call(JobsTransport(user="watcher"), JobsTransported, timeout_s=40)
    long = b"x" * (MAX_BYTES + 1)
    async with connected(transport_of(told), "looks", clean=True) as looks, one.line() as line:
        await looks.subscribe(one.claimed.topic)
        for payload in (long, long[1:]):
            await line.publish(one.claimed.topic, payload)
        with anyio.fail_after(60):
            heard = [await looks.heard.receive() for _ in range(2)]
    assert [len(message.payload) for message in heard] == [0, MAX_BYTES]
    assert [message.too_long for message in heard] == [TooLong(len(long), sha256(long).digest()), None]


async def test_who_hears_slower_than_others_speak_holds_little_and_loses_nothing(
    fleet: BrokerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 5: what is not settled is bounded here; the rest waits at the MQTT broker, in order."""
    monkeypatch.setattr(mqtt, "MAX_UNACKED", 10)
    one = await worker(fleet)
    operator = await fleet.operator()
    told = await operator.call(JobsTransport(user="watcher"), JobsTransported, timeout_s=40)
    said = [f"{number}".encode() for number in range(300)]
    async with connected(transport_of(told), "slow", clean=True) as slow, one.line() as line:
        await slow.subscribe(one.claimed.topic)
        for payload in said:
            await line.publish(one.claimed.topic, payload)
        heard: list[bytes] = []
        with anyio.fail_after(60):
            async for message in slow.heard:
                assert slow.heard.statistics().current_buffer_used < 10
                heard.append(message.payload)
                slow.settle(message)
                if len(heard) == len(said):
                    break
    assert heard == said
