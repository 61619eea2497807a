"""The parts of a running broker that the edge works with; `broker.app` puts them together."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from broker.edge.opens import ParkedOpens
from broker.services.callers import Rules
from broker.services.credentials import KeyRing
from broker.services.states import Reports
from broker.services.wakeups import Watch
from broker.store.database import Database
from broker.store.readers import Readers
from broker.store.writer import Writer
from wire.clock import Clock
from wire.home import Home
from wire.job_probe import JobsProbed
from wire.jobs import JobsTransported, MqttUser
from wire.settings import Role


@dataclass(slots=True)
class Office:
    """One per broker process. Only the event loop touches it."""

    home: Home
    fleet: str
    config: Path | None
    clock: Clock
    database: Database
    writer: Writer
    readers: Readers
    started_at_ms: int
    rules: Rules = field(default_factory=Rules)
    keys: KeyRing = field(default_factory=KeyRing)
    roles: dict[str, Role] = field(default_factory=dict[str, Role])
    reports: Reports = field(default_factory=Reports)
    watch: Watch = field(default_factory=Watch)
    registering: anyio.Lock = field(default_factory=anyio.Lock)
    """Held while agents come, change or go: token files, database and memory are kept in step by one at a time."""
    freezing: anyio.Lock = field(default_factory=anyio.Lock)
    """Held from reading or writing who is frozen until the database says the same."""
    backing_up: anyio.Lock = field(default_factory=anyio.Lock)
    parked_opens: ParkedOpens = field(default_factory=ParkedOpens)
    """The turn loops that wait for mail."""
    refused: Counter[str] = field(default_factory=Counter[str])
    """Refusals since the start, by code."""
    transport: Callable[[MqttUser], Awaitable[JobsTransported]] | None = None
    """Says how somebody publishes events; starts the MQTT broker. Set once the bridge is there."""
    carry: Callable[[str, bytes, bool], Awaitable[None]] | None = None
    """Publishes an event of somebody elsewhere: topic, payload, whether it is retained. Set with `transport`."""
    probe_transport: Callable[[bool], Awaitable[JobsProbed]] | None = None
    """Proves that events are heard; told whether to start the MQTT broker for it. Set with `transport`."""
    hears_for_ms: Callable[[], int] = int
    """For how long all events of jobs are heard; 0 while they are not."""
    transport_warnings: Callable[[], list[str]] = list
    """What is wrong with the way of events at this moment."""
    warnings: list[str] = field(default_factory=list[str])
    """Shown in status."""

    def __post_init__(self) -> None:
        self.reports.is_deaf = self.watch.is_deaf
