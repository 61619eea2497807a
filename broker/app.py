"""The broker process put together: store, services, edge, timekeeper; start and stop in order."""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from broker.bridge.bridge import Bridge
from broker.bridge.where import Where
from broker.edge import registry, valves
from broker.edge.office import Office
from broker.edge.server import Server, listening
from broker.edge.sharing import share
from broker.edge.tls import port_open
from broker.services import wakeups
from broker.store.database import open_database
from broker.store.group import Group
from broker.store.readers import Readers
from broker.store.tx import Effects
from broker.store.writer import Writer
from broker.timekeeper import Timekeeper
from wire.clock import Clock, SystemClock
from wire.errors import Internal
from wire.home import Home
from wire.layout import bring_up_to_date
from wire.logs import get_logger
from wire.settings import LinkSettings, MqttSettings, Settings
from wire.settings_file import read_settings
from wire.topics import prefix_of

log = get_logger("broker")


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """What a broker needs to know before it opens anything."""

    home: Home
    config: Path | None
    """The settings file, already found; None: a fleet whose agents the database owns."""


class _Nerves:
    """Carries effects and due times from the writer to parts that are made after it."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.keeper: Timekeeper | None = None
        self.bridge: Bridge | None = None
        self.broken = anyio.Event()

    def on_effects(self, effects: Effects) -> None:
        """Apply what a batch asked for."""
        if effects.posts and self.bridge is not None:
            self.bridge.on_posts()
        if self.server is None:
            return
        for push in effects.pushes:
            self.server.hub.announce(push)
        for agent in effects.woken:
            self.server.hub.mail_waiting(agent)

    def on_told(self, effects: Effects) -> None:
        """Log what a batch did."""
        if effects.logs:
            log.relay(effects.logs)

    def on_due(self, due_ms: int | None) -> None:
        """Pass the next due time on."""
        if self.keeper is not None:
            self.keeper.on_due(due_ms)


async def serve(
    options: BrokerOptions,
    stop: anyio.Event,
    ready: Callable[[Office], None],
    clock: Clock | None = None,
) -> None:
    """Run a broker until `stop` is set; then drain and close within about two seconds.

    `ready` is called once it listens.

    Raises:
        QueenpostError: the home, the database, the settings or the socket refuse; nothing was changed by that.
        Internal: the writer broke; what was answered is committed.
    """
    _migrate(options.home)
    settings = read_settings(options.config, home=options.home.root) if options.config else None
    nerves = _Nerves()
    async with _office(options, nerves, clock or SystemClock()) as office:
        await _open(office, settings)
        link = settings.link if settings else LinkSettings()
        socket = office.home.place_socket(os.environ)
        async with (
            listening(office, socket, share(office.home, socket, link.group)) as server,
            port_open(server, office.home, link) as port,
            anyio.create_task_group() as group,
        ):
            nerves.server = server
            nerves.keeper = Timekeeper(office, server.hub)
            group.start_soon(nerves.keeper.run)
            where = _begin_jobs(office, settings)
            nerves.bridge = bridge = Bridge(office.writer, lambda: office.rules, where, office.clock)
            office.probe_transport, office.transport_warnings = bridge.probe, bridge.warnings
            office.carry = bridge.carry
            office.hears_for_ms = bridge.hears_for_ms
            group.start_soon(bridge.run)
            log.info("broker_started", fleet=office.fleet, home=str(office.home.root), tls_port=port)
            ready(office)
            await _stopped(stop, nerves.broken)
            group.cancel_scope.cancel()
    if nerves.broken.is_set():
        raise Internal("the broker's writer has stopped; its log says why. Nothing accepted is lost: start it again")
    log.info("broker_stopped")


def _begin_jobs(office: Office, settings: Settings | None) -> Where:
    """Settle under which name and topics events are taken: it holds until the next start, whatever is applied."""
    mqtt = settings.mqtt if settings else MqttSettings()
    prefix = prefix_of(mqtt.topic_prefix, office.fleet)
    office.rules = replace(office.rules, fleet=office.fleet, topic_prefix=prefix)
    where = Where(office.home, mqtt, prefix, os.environ)
    office.transport = where.told
    return where


def _migrate(home: Home) -> None:
    """Give the home the present layout, and say what that changed."""
    done = bring_up_to_date(home)
    for moved in done.moved:
        log.info("home_file_moved", moved=moved)
    for left in done.left:
        log.warning("home_file_left", left=left)


async def _stopped(stop: anyio.Event, broken: anyio.Event) -> None:
    async with anyio.create_task_group() as group:

        async def either(event: anyio.Event) -> None:
            await event.wait()
            group.cancel_scope.cancel()

        group.start_soon(either, stop)
        group.start_soon(either, broken)


@asynccontextmanager
async def _office(options: BrokerOptions, nerves: _Nerves, clock: Clock) -> AsyncGenerator[Office]:
    """Open the store; closes it in the opposite order."""
    home = options.home
    with open_database(home.database, clock) as database:
        group = Group(database, clock, wakeups.next_due)
        async with (
            Writer(group, nerves.on_effects, nerves.on_due, nerves.broken.set, nerves.on_told) as writer,
            Readers(home.database) as readers,
        ):
            yield Office(
                home=home,
                fleet=home.fleet_name,
                config=options.config,
                clock=clock,
                database=database,
                writer=writer,
                readers=readers,
                started_at_ms=clock.wall_ms(),
            )


async def _open(office: Office, settings: Settings | None) -> None:
    """Make the fleet true before anybody is let in."""
    await office.writer.run(wakeups.start)
    if settings is not None:
        await registry.apply_at_start(office, settings)
    await registry.renew_missing(office)
    await valves.follow_file(office)
