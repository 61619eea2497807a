"""Errands of search, threads, the story of an agent, figures, and the probe by which `doctor` sees that all works."""

import platform
from functools import partial
from os import getpid
from typing import Any

import anyio
import anyio.to_thread

from broker.edge.connection import Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.edge.version import program_version
from broker.services import agent_stories, figures, finding, indexing, statistics
from broker.services.callers import Caller
from broker.store.filesystem import mount_of, mounts_here
from broker.store.jobs import Outcome
from wire import finding as wire
from wire import office as wire_office
from wire import statistics as wire_statistics
from wire.errors import Full, Unavailable
from wire.logs import get_logger
from wire.model import Result

WAKE_S = 5.0
"""How long a probe waits to be woken; it takes a thousandth of that."""

log = get_logger("broker")


async def search(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: wire.InboxSearch) -> Result:
    """Find messages by words."""
    finding.expression(request.words)  # refused before anything is written
    await _bring_up_to_date(office)
    async with office.readers.read() as reader:
        return await finding.search(reader, caller, request)


async def _bring_up_to_date(office: Office) -> None:
    """Put into the index what there is now. Many small commits: what others want runs between them."""
    async with office.readers.read() as reader:
        (state,) = await reader.all("finding.index_state")
    last = state["indexed_to"]
    if indexing.is_stale(state):
        await office.writer.run(indexing.begin_anew)
        last = 0
    while last < state["newest"]:
        last = await office.writer.run(indexing.index_some) or state["newest"]


async def thread(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: wire.InboxThread) -> Result:
    """Show the conversation that a message belongs to."""
    async with office.readers.read() as reader:
        return await finding.thread(reader, caller, request)


async def explain_agent(
    office: Office, _hub: Hub, _line: Connection, caller: Caller, request: wire.AgentsExplain
) -> Result:
    """Tell what an agent does and why it does nothing; where its token lies is the operator's business."""
    async with office.readers.read() as reader:
        story = await agent_stories.explain(reader, request, office.clock.now_ms(), office.reports)
    if caller.kind == "operator" and story.state != "stopped":
        story.facts["token file"] = str(office.home.agent_secret(story.id))
    return story


async def stats(
    office: Office, hub: Hub, _line: Connection, _caller: Caller, request: wire_office.FleetStats
) -> Result:
    """Count what the broker did."""
    since = office.clock.now_ms() - figures.DAY_MS if request.since_ms is None else request.since_ms
    async with office.readers.read() as reader:
        middle, most = await figures.turn_lengths(reader, since)
        return wire_office.FleetFigures(
            since_ms=since,
            messages=await figures.counts(reader, "messages", since=since),
            deliveries=await figures.counts(reader, "deliveries"),
            turns=await figures.counts(reader, "turns", since=since),
            turn_ms_p50=middle,
            turn_ms_p95=most,
            asks=await figures.counts(reader, "asks", since=since),
            reminders_delivered=await figures.firings(reader, since),
            jobs=await figures.counts(reader, "jobs", since=since),
            events=await figures.counts(reader, "events", since=since),
            refused=dict(office.refused),
            connections=len(hub),
            database_bytes=office.home.database.stat().st_size,
            wal_bytes=office.database.wal_bytes(),
            started_at_ms=office.started_at_ms,
        )


async def agent_stats(
    office: Office, _hub: Hub, _line: Connection, caller: Caller, request: wire_statistics.AgentsStats
) -> Result:
    """Count what the turns of agents came to; on a disk that is full, all but those of the last minute."""
    try:
        await statistics.harvest_some(office.writer.run, statistics.BEFORE_READING)
    except (Full, Unavailable) as exc:
        log.warning("statistics_late", code=exc.code, reason=exc.message)
    async with office.readers.read() as reader:
        return await statistics.stats(reader, caller, request, office.clock.now_ms())


async def probe(
    office: Office, _hub: Hub, _line: Connection, _caller: Caller, _request: wire_office.FleetProbe
) -> Result:
    """Make one durable write and one real wake, measure both, and say what the store runs on.

    Raises:
        Full, Unavailable: the write was refused. Unavailable: it was stored and nobody woke.
    """
    commit_ms, wake_ms = await _write_and_wake(office)
    mount = await anyio.to_thread.run_sync(lambda: mount_of(office.home.root, mounts_here()))
    async with office.readers.read() as reader:
        (sqlite,) = await reader.all("finding.sqlite")
        (journal,) = await reader.all("store.journal_mode")
    return wire_office.FleetProbed(
        commit_ms=commit_ms,
        wake_ms=wake_ms,
        sqlite=sqlite["version"],
        journal_mode=journal["journal_mode"],
        file_system=f"{mount.kind}{', over a network' if mount.network else ''}" if mount else "unknown",
        disk_free_bytes=office.rules.disk_free_bytes,
        clock_step_ms=office.clock.wall_ms() - office.clock.now_ms(),
        quick_check=await _quick_check(office),
        socket=str(office.home.socket),
        pid=getpid(),
        version=program_version(),
        python=platform.python_version(),
    )


class _Ended:
    """How a job ended, and when; given to the writer as its `done`."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.outcome = Outcome[Any]()
        self.event = anyio.Event()

    def __call__(self, outcome: Outcome[Any]) -> None:
        self.at_s, self.outcome = anyio.current_time(), outcome
        self.event.set()


async def _write_and_wake(office: Office) -> tuple[float, float]:
    """Give the milliseconds of a commit, and from there to the waiter that it woke."""
    writer = office.writer
    number = await writer.run(figures.last_probe)
    committed, woken = _Ended(), _Ended()
    until_ms = office.clock.now_ms() + int(2 * WAKE_S * 1000)
    ticket = writer.park(partial(figures.probe_after, number=number), figures.PROBER, until_ms, woken)
    try:
        await writer.run(figures.last_probe)  # behind the ticket: from here on it waits
        started_s = anyio.current_time()
        writer.submit(figures.write_probe, committed)
        await committed.event.wait()
        committed.outcome.get()
        with anyio.move_on_after(WAKE_S):
            await woken.event.wait()
    finally:
        writer.withdraw(ticket)
    if woken.outcome.get() is None:
        raise Unavailable(
            f"a write was stored, but whoever waited for it did not wake in {WAKE_S:g} s; restart the broker"
        )
    # Whoever else probes at this moment may have woken ours before.
    return (committed.at_s - started_s) * 1000, max(woken.at_s - committed.at_s, 0.0) * 1000


async def _quick_check(office: Office) -> str:
    try:
        async with office.readers.read() as reader:
            (verdict,) = await reader.all("store.quick_check")
            return verdict["quick_check"]
    except Unavailable as exc:
        return f"not finished: {exc.message}"
