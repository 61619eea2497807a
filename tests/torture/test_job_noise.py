"""A hundred thousand strange frames over a real MQTT broker, across kills of the bridge: only what is due is taken.

The frames are those of `tests.broker.services.test_job_noise`, which has two thousand of them in the usual suite.
"""

import os
import random
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field

import anyio
import pytest

from broker.services import job_events
from tests.fakes.broker import BrokerProcess
from tests.fakes.jobbing import PROGRAMS, jobbing
from tests.torture.job_noise import FAR, Claim, Forger
from tests.torture.test_noise import GROWTH_MIB, peak_mib
from wire.client import new_key
from wire.home import Home
from wire.jobs import (
    JobsClaim,
    JobsClaimed,
    JobsRegister,
    JobsRegistered,
    JobsShown,
    JobsTransport,
    JobsTransported,
    JobsWatch,
)
from wire.mqtt import LineLost, MqttLine, connected
from wire.records import transport_of

pytestmark = pytest.mark.anyio

FRAMES = int(os.environ.get("QUEENPOST_TORTURE_FRAMES", "100000"))
SEED = int(os.environ.get("QUEENPOST_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
LIVES = (0.04, 0.04, 0.04, 0.04, 0.04, 0.8)
"""Shares of the frames that one run of the broker hears; it is killed among more, behind each but the last."""
AT_ONCE = 250
"""Frames in flight, one good event behind them."""


@dataclass
class Storm:
    """Frames over one line after the other, and good events between them."""

    fleet: BrokerProcess
    forger: Forger
    said: Counter[str] = field(default_factory=Counter[str])

    @property
    def claims(self) -> list[Claim]:
        """The claims that hold."""
        return self.forger.claims

    async def line(self) -> JobsTransported:
        """Ask where the MQTT broker is, once the bridge hears."""
        return await (await self.fleet.operator()).call(JobsTransport(), JobsTransported, timeout_s=60)

    async def blow(self, frames: int) -> float:
        """Say so many, until every one of them was judged; gives by how many MiB the broker grew meanwhile."""
        before = peak_mib(self.fleet.pid)
        async with connected(transport_of(await self.line()), "storm", clean=True) as line:
            for _ in range(frames // AT_ONCE):
                async with anyio.create_task_group() as group:
                    for _ in range(AT_ONCE):
                        frame = self.forger.frame()
                        self.said[frame.name] += 1
                        group.start_soon(self._say, line, frame.topic, frame.payload)
                await self._say_good(line, self.forger.rng.choice(self.claims))
        return peak_mib(self.fleet.pid) - before

    async def blow_through_a_kill(self) -> None:
        """Kill the broker while frames are on their way, and start it again."""
        last = self.forger.frame()
        async with (
            connected(transport_of(await self.line()), "storm", clean=True) as line,
            anyio.create_task_group() as group,
        ):
            for _ in range(AT_ONCE):
                frame = self.forger.frame()
                group.start_soon(self._say, line, frame.topic, frame.payload)
            await self._say(line, last.topic, last.payload)
            await self.fleet.kill()
        await self.fleet.start()

    async def _say(self, line: MqttLine, topic: str, payload: bytes) -> None:
        with suppress(LineLost):
            await line.publish(topic, payload)

    async def _say_good(self, line: MqttLine, claim: Claim, *, step: int = 1) -> None:
        await line.publish(claim.topic, claim.due(step=step))
        await self._is_recorded(claim)

    async def begin(self) -> None:
        """Say what forgers may overhear."""
        async with connected(transport_of(await self.line()), "storm", clean=True) as line:
            for claim in self.claims:
                for step in (1, FAR):
                    await self._say_good(line, claim, step=step)

    async def _is_recorded(self, claim: Claim) -> None:
        """Wait until the newest good event of a claim is recorded, and with it all that was said before."""
        operator = await self.fleet.operator()
        after = 0
        while True:
            request = JobsWatch(job=claim.job, after=after, wait_s=30)
            shown = await operator.call(request, JobsShown, timeout_s=40)
            assert shown.events, f"{claim.job}: number {claim.seq} was not taken"
            if shown.events[-1].seq == claim.seq:
                return
            after = shown.events[-1].number


async def claimed(fleet: BrokerProcess, job: str) -> Claim:
    """Claim a job."""
    operator = await fleet.operator()
    return Claim.of(await operator.call(JobsClaim(key=new_key(), job=job), JobsClaimed))


async def a_storm(fleet: BrokerProcess, seed: int) -> Storm:
    """Have four jobs, of which one was claimed before."""
    operator = await fleet.operator()
    jobs = [(await operator.call(JobsRegister(key=new_key(), prompt="x"), JobsRegistered)).job for _ in range(4)]
    former = [await claimed(fleet, jobs[0])]
    storm = Storm(fleet, Forger([await claimed(fleet, job) for job in jobs], former, random.Random(seed)))
    await storm.begin()
    return storm


def wrong(home: Home, storm: Storm) -> Iterator[str]:
    """Find what was taken, and what was not, in a store that no broker uses."""
    with closing(sqlite3.connect(home.database)) as connection:
        for claim in storm.claims:
            sql = "SELECT epoch, count(*), max(seq) FROM job_events WHERE job = ? GROUP BY epoch"
            found = connection.execute(sql, (claim.job,)).fetchall()
            due = [(claim.epoch, len(claim.said), claim.seq)]
            if found != due:
                yield f"{claim.job}: {found} was taken, {due} was due"
        states = connection.execute("SELECT DISTINCT state FROM jobs").fetchall()
        if states != [("running",)]:
            yield f"jobs are {states}"
        kinds, words = connection.execute("SELECT count(*), max(length(topic)) FROM quarantine").fetchone()
        if kinds > job_events.MAX_QUARANTINE + len(storm.said) or words > job_events.MAX_TOPIC:
            yield f"the quarantine has {kinds} rows, topics of up to {words} characters"


def refused(home: Home) -> Counter[str]:
    """Count what was refused, by reason."""
    with closing(sqlite3.connect(home.database)) as connection:
        return Counter(dict(connection.execute("SELECT reason, sum(times) FROM quarantine GROUP BY reason").fetchall()))


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_hundred_thousand_strange_frames_change_nothing(program: str) -> None:
    """[X14] [X15] [X18] Issue 5: 0 accepted across kills of the bridge, which lives on in bounded memory."""
    sys.stdout.write(f"replay: QUEENPOST_TORTURE_SEED={SEED} QUEENPOST_TORTURE_FRAMES={FRAMES}\n")
    began = anyio.current_time()
    async with jobbing(program) as fleet:
        storm = await a_storm(fleet, SEED)
        grown: list[float] = []
        for share in LIVES:
            if grown:
                await storm.blow_through_a_kill()
            grown.append(await storm.blow(int(FRAMES * share)))
        said = fleet.said
        await fleet.kill()
        found, judged = list(wrong(fleet.home, storm)), refused(fleet.home)
    sys.stdout.write(
        f"{program}: {storm.said.total()} frames of {len(storm.said)} kinds in {anyio.current_time() - began:.0f} s, "
        f"seed {SEED}, {len(LIVES) - 1} kills: {dict(judged)} refused, "
        f"{sum(len(one.said) for one in storm.claims)} good events; at most {max(grown):.1f} MiB more\n"
    )
    assert found == []
    assert judged.total() > storm.said.total() // 2
    assert max(grown) < GROWTH_MIB
    assert "Traceback" not in said
