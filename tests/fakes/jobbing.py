"""A real broker with jobs, over a real MQTT broker: what tests of publishers and of the bridge share."""

import json
import signal
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from broker.bridge import mosquitto
from tests.fakes.broker import BrokerProcess, Fleet, short_home
from wire.client import BrokerClient, new_key
from wire.events import Event, EventName, sign
from wire.home import Home
from wire.jobs import (
    Job,
    JobsClaim,
    JobsClaimed,
    JobsRegister,
    JobsRegistered,
    JobsShown,
    JobsTransport,
    JobsTransported,
    JobsWatch,
)
from wire.mqtt import MqttLine, connected
from wire.outbox import Outbox
from wire.processes import Process
from wire.publisher import Publisher
from wire.records import Records, transport_of

PROGRAMS = [
    pytest.param(
        "mosquitto", marks=pytest.mark.skipif(mosquitto.find({}) is None, reason="left out: mosquitto is not installed")
    ),
    "amqtt",
]
NOW = "2026-11-21T10:00:00.000Z"


@asynccontextmanager
async def jobbing(program: str, more: str = "") -> AsyncGenerator[BrokerProcess]:
    """Run a broker whose own MQTT broker is this program, with more settings."""
    with short_home() as home:
        home.create()
        (home.root / "queenpost.toml").write_text(f'[mqtt]\nprogram = "{program}"\n{more}', encoding="utf-8")
        async with BrokerProcess(home) as fleet:
            yield fleet


def kill_mqtt_broker(home: Home) -> None:
    """Kill the fleet's own MQTT broker."""
    pid, name = json.loads((home.mqtt_run / "process").read_text(encoding="ascii"))
    assert Process(pid, name).kill_group(signal.SIGKILL)


@dataclass
class Worker:
    """A program outside the fleet: it has claimed a job and says what it does."""

    fleet: Fleet
    claimed: JobsClaimed
    transport: JobsTransported
    seq: int = 0

    @property
    def job(self) -> Job:
        """The job as it was claimed."""
        return cast("Job", self.claimed.job)

    def event(self, event: EventName, seq: int, **fields: Any) -> bytes:
        """Sign an event under a number."""
        made = Event(self.claimed.fleet, self.job.id, self.claimed.kid, self.job.epoch, seq, event, NOW)
        return sign(replace(made, **fields), self.claimed.topic, self.claimed.secret)

    def signed(self, event: EventName, **fields: Any) -> bytes:
        """Sign an event under the next number."""
        self.seq += 1
        return self.event(event, self.seq, **fields)

    def line(self) -> AbstractAsyncContextManager[MqttLine]:
        """Connect."""
        return connected(transport_of(self.transport), f"test-{self.job.id}", clean=True)

    async def shown(self, after: int = 0) -> JobsShown:
        """Wait for something that lies behind a number."""
        operator = await self.fleet.operator()
        watched = await operator.call(JobsWatch(job=self.job.id, after=after, wait_s=30), JobsShown, timeout_s=40)
        assert watched.job is not None
        return watched

    async def until(self, state: str) -> Job:
        """Wait until the job is in a state."""
        seen = 0
        while True:
            watched = await self.shown(seen)
            assert watched.job is not None
            if watched.job.state == state:
                return watched.job
            seen = watched.events[-1].number


async def worker(fleet: Fleet, operator: BrokerClient | None = None, **fields: Any) -> Worker:
    """Register a job and claim it, over a connection of one's own if one is given."""
    operator = operator or await fleet.operator()
    made = await operator.call(JobsRegister(key=new_key(), prompt="count", **fields), JobsRegistered)
    claimed = await operator.call(JobsClaim(key=new_key(), job=made.job), JobsClaimed)
    told = await operator.call(JobsTransport(), JobsTransported, timeout_s=40)
    return Worker(fleet, claimed, told)


async def no_link(_topic: str, _payload: bytes, _retain: bool) -> None:
    """Carry nothing: for a publisher that is told where the MQTT broker is."""
    raise AssertionError("an event was handed in over the link")


@asynccontextmanager
async def publishing(client: BrokerClient, folder: Path) -> AsyncGenerator[Publisher]:
    """Run a publisher that asks over this connection while the body runs; its outbox lies in the folder."""
    records = Records(client.call, "publisher")
    with Outbox(folder / "private" / "outbox.db") as outbox:
        publisher = Publisher("test", outbox, records.tell, records.confirm, records.carry)
        async with anyio.create_task_group() as group:
            group.start_soon(publisher.run)
            yield publisher
            group.cancel_scope.cancel()
