"""Signed events of a job: how long from the outbox to the record, and how many a second, beside raw MQTT.

The frames of raw MQTT are our signed ones, so they are as long; see `raw_mqtt`.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import anyio
import anyio.lowlevel
from anyio import to_thread

from benchmarks.commits import committing
from benchmarks.figures import Figure, Goal, percentile
from benchmarks.plan import Plan
from benchmarks.programs import program
from benchmarks.raw_mqtt import PATIENCE_S, Raw, raw_mqtt
from benchmarks.rows import Series
from broker.bridge import mosquitto
from wire.client import BrokerClient, new_key
from wire.events import Event, read_event, sign, stamp, verify
from wire.home import CONFIG_NAME, Home
from wire.jobs import (
    JobsClaim,
    JobsClaimed,
    JobsRegister,
    JobsRegistered,
    JobsShown,
    JobsWatch,
)
from wire.outbox import Outbox
from wire.private_files import read_secret
from wire.publisher import Publisher
from wire.records import Records

PROGRAMS = ("mosquitto", "amqtt")
DETAIL = "read 12 of 40 files"
WARM_UP = 5
"""Events before the first that counts."""
TURN = 5
"""So many in a row of ours, of raw MQTT and of commits."""


@dataclass
class Desk:
    """A claimed job, the outbox of who works on it, and somebody who watches."""

    operator: BrokerClient
    publisher: Publisher
    claimed: JobsClaimed
    seen: int = 0
    """Number of the newest record that the watcher has."""

    def event(self, seq: int) -> Event:
        """Make an event of the job."""
        made = self.claimed
        assert made.job is not None
        return Event(
            made.fleet, made.job.id, made.kid, made.job.epoch, seq, "progress", stamp(1_795_000_000_000), DETAIL,
            {"read": 12, "of": 40},
        )  # fmt: skip

    def signed(self, seq: int) -> bytes:
        """Sign one."""
        return sign(self.event(seq), self.claimed.topic, self.claimed.secret)

    async def publish(self) -> None:
        """Put one event into the outbox; durable once this returns."""
        job = self.claimed.job
        assert job is not None
        await self.publisher.add(job.id, job.epoch, self.claimed.topic, self.signed, retain=False)

    async def sees_the_next(self) -> float:
        """Wait for the next record; gives when it was there."""
        job = self.claimed.job
        assert job is not None
        watch = JobsWatch(job=job.id, after=self.seen, wait_s=PATIENCE_S)
        shown = await self.operator.call(watch, JobsShown)
        self.seen = shown.events[-1].number
        return perf_counter()


async def events(series: Series, plan: Plan, folder: Path) -> None:
    """Measure over each MQTT broker that is there."""
    folder.mkdir()
    for name in PROGRAMS:
        if name == "mosquitto" and mosquitto.find({}) is None:
            series.left_out[name] = "it is not installed"
            continue
        with TemporaryDirectory(prefix="qp-mqtt-") as short:  # the path of a socket has to be
            home = Home(Path(short) / "home")
            home.create()
            (home.root / CONFIG_NAME).write_text(f'[mqtt]\nprogram = "{name}"\n', encoding="utf-8")
            async with (
                _desk(home, folder / name) as desk,
                raw_mqtt(name, Path(short) / "raw", desk.claimed.topic) as raw,
            ):
                for number in range(plan.rounds):
                    await _latencies(series, plan, desk, raw, folder / f"{name}.db", first=not number)
                    await _rates(series, plan, desk, raw)


async def _latencies(series: Series, plan: Plan, desk: Desk, raw: Raw, database: Path, *, first: bool) -> None:
    for _ in range(WARM_UP if first else 0):
        await _one(desk)
        await to_thread.run_sync(raw.one, desk.signed(1))
    taken, theirs, commits = list[tuple[float, float]](), list[float](), list[float]()
    with committing(database) as commit:
        while len(taken) < plan.samples:  # a few of each in turn: what disturbs the machine disturbs them all
            taken += [await _one(desk) for _ in range(TURN)]
            theirs += [await to_thread.run_sync(raw.one, desk.signed(1)) for _ in range(TURN)]
            commits += commit(TURN)
    floor = percentile(theirs, 50) + percentile(commits, 50)
    series.add(f"{raw.name} event", percentile([since_commit for _, since_commit in taken], 50))
    series.add(f"{raw.name} whole event", percentile([whole for whole, _ in taken], 50))
    series.add(f"{raw.name} raw", percentile(theirs, 50))
    series.add(f"{raw.name} raw and commit", floor)
    series.add(f"{raw.name} signature", percentile([_sign_and_verify(desk) for _ in range(plan.samples)], 50))


async def _one(desk: Desk) -> tuple[float, float]:
    """Publish one event; gives how long it took in all, and from its commit in the outbox, to its verified record.

    The watcher waits already, as the subscriber of raw MQTT does.
    """
    called = committed = recorded = 0.0

    async def watch() -> None:
        nonlocal recorded
        recorded = await desk.sees_the_next()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.lowlevel.checkpoint()
        await _shown(desk)  # behind the watch, on the same connection: that waits now
        called = perf_counter()
        await desk.publish()
        committed = perf_counter()
    return recorded - called, recorded - committed


def _sign_and_verify(desk: Desk) -> float:
    event, topic, secret = desk.event(1), desk.claimed.topic, desk.claimed.secret
    started = perf_counter()
    verify(read_event(sign(event, topic, secret)), topic, secret)
    return perf_counter() - started


async def _rates(series: Series, plan: Plan, desk: Desk, raw: Raw) -> None:
    """As many as can be for a while: ours until all of them are recorded, theirs until each is acknowledged."""
    rate = await to_thread.run_sync(raw.connection_each, desk.signed(1), plan.window_s)
    series.add(f"{raw.name} connections", rate)
    started, count = perf_counter(), 0

    async def publish_on() -> None:
        nonlocal count
        while perf_counter() - started < plan.window_s:
            await desk.publish()
            count += 1

    async with anyio.create_task_group() as group:
        for _ in range(plan.pairs):
            group.start_soon(publish_on)
    with anyio.fail_after(PATIENCE_S + plan.window_s):
        await desk.publisher.drained()
    series.add(f"{raw.name} events", count / (perf_counter() - started))
    while (await _shown(desk)).events:
        await desk.sees_the_next()


async def _shown(desk: Desk) -> JobsShown:
    assert desk.claimed.job is not None
    return await desk.operator.call(JobsWatch(job=desk.claimed.job.id, after=desk.seen), JobsShown)


@asynccontextmanager
async def _desk(home: Home, folder: Path) -> AsyncGenerator[Desk]:
    """Start a fleet, register and claim a job in it, and publish for it."""
    token = home.operator_secret
    async with (
        program("broker", "--home", str(home.root), errors=folder.with_suffix(".log")),
        BrokerClient(home.socket, lambda: read_secret(token).strip(), "bench") as operator,
        anyio.create_task_group() as group,
    ):
        made = await operator.call(JobsRegister(key=new_key(), prompt="read the files"), JobsRegistered)
        claimed = await operator.call(JobsClaim(key=new_key(), job=made.job), JobsClaimed)
        records = Records(operator.call, "publisher")
        with Outbox(folder.with_suffix(".outbox.db")) as outbox:
            publisher = Publisher("bench", outbox, records.tell, records.confirm, records.carry)
            group.start_soon(publisher.run)
            yield Desk(operator, publisher, claimed)
            group.cancel_scope.cancel()


def event_goals(series: Series) -> list[Figure]:
    """Give the rows that have to reach something."""
    return [figure for name in PROGRAMS for figure in _goals(series, name)]


def _goals(series: Series, name: str) -> list[Figure]:
    rows = [
        ("signed event, outbox to record, p50 ÷ (raw MQTT end to end + one commit)", "event", "raw and commit",
         Goal("≤", 3)),
        ("signed events recorded ÷ a connection for each", "events", "connections", Goal("≥", 2)),
        ("signing and verifying ÷ call to record, p50", "signature", "whole event", Goal("≤", 0.02)),
    ]  # fmt: skip
    why = series.left_out.get(name)
    if why:
        return [Figure(f"{name}: {row}", "×", [], goal, why) for row, _, _, goal in rows]
    return [
        series.ratio(f"{name}: {row}", f"{name} {above}", f"{name} {below}", goal) for row, above, below, goal in rows
    ]


def event_figures(series: Series) -> list[Figure]:
    """Give what they are made of."""
    made: list[Figure] = []
    for name in PROGRAMS:
        made += series.figure(f"{name}: signed event, outbox to record, p50", "ms", f"{name} event", 1e3)
        made += series.figure(f"{name}: signed event, call to record, p50", "ms", f"{name} whole event", 1e3)
        made += series.figure(f"{name}: raw MQTT end to end, p50", "ms", f"{name} raw", 1e3)
        made += series.figure(f"{name}: signing and verifying one event, p50", "µs", f"{name} signature", 1e6)
        made += series.figure(f"{name}: signed events recorded", "/s", f"{name} events")
        made += series.figure(f"{name}: events with a connection each", "/s", f"{name} connections")
    return made
