"""The bridge: hears what jobs say over MQTT, lets the store judge it, publishes what the broker itself decides.

It subscribes before anybody can publish, settles a message only behind its commit, and connects again for as long as
the broker runs. What an event means is in `broker.services.job_events`.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Literal

import anyio

from broker.bridge.carrier import Carrier
from broker.bridge.posts import Posts
from broker.bridge.probe import Probe
from broker.bridge.proofs import Proof, Proofs
from broker.bridge.where import Where
from broker.services import job_events
from broker.services.callers import Rules
from broker.store.tx import Tx
from broker.store.writer import Writer
from wire.backoff import Backoff
from wire.clock import Clock
from wire.errors import Denied, QueenpostError, Unavailable
from wire.job_probe import JobsProbed
from wire.logs import get_logger
from wire.mqtt import Heard, LineLost, MqttLine, connected
from wire.racing import first_of
from wire.topics import events_filter

HEARD_AT_ONCE = 200
"""Events in one commit."""
STEADY_S = 10.0
"""A connection that held for so long begins its back-off anew."""

PROVEN_S = 10.0
"""A proof of the bridge's own that was not heard for so long says that nothing is."""
PROVE_AGAIN_S = 60.0

Step = Literal["start", "connection", "rules"]
"""What failed: our own does not start, one is not let in or nobody is there, or nothing is let through."""

log = get_logger("broker")


class Bridge:
    """One per broker. `run` is its only task; it sleeps until the fleet has its first job."""

    def __init__(self, writer: Writer, rules: Callable[[], Rules], where: Where, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._rules = rules
        self._where = where
        self._posts = Posts(writer)
        self._carrier = Carrier()
        self._proofs = Proofs()
        self._probing = anyio.Lock()
        self.trouble = ""
        """Why nothing is heard at the moment, in words; empty while it is."""
        self._hears_since_ms: int | None = None

    def warnings(self) -> list[str]:
        """Say what is wrong with it, for the status of the fleet."""
        troubles = [f"events of jobs are not heard: {self.trouble}"] if self.trouble else []
        return [*troubles, *self._where.warnings()]

    def hears_for_ms(self) -> int:
        """Say for how long it has heard what is published, without the sleep of the machine; 0 while it does not."""
        return 0 if self._hears_since_ms is None else self._clock.awake_ms() - self._hears_since_ms

    async def probe(self, start: bool) -> JobsProbed:
        """See `wire.job_probe`. Starts the fleet's own MQTT broker only if told to.

        Raises:
            Unavailable, Denied: the bridge, or a publisher, is not connected; with what to look at.
        """
        if not start and not self._where.wanted.is_set() and self._where.kind == "asleep":
            return JobsProbed(kind="asleep")
        await self._where.awake()
        if not self._where.hearing.is_set():
            raise Unavailable(self.trouble or "the fleet's MQTT broker does not start; `queenpost logs` says why")
        async with self._probing:
            return await Probe(self._where, self._proofs, self._rules()).run()

    async def carry(self, topic: str, payload: bytes, retain: bool) -> None:
        """Publish an event of a publisher elsewhere; see `broker.bridge.carrier`.

        Raises:
            Unavailable: the bridge is not connected, with why, or was not for long enough. Denied: it may not publish.
        """
        await self._carrier.carry(topic, payload, retain, self.trouble)

    def on_posts(self) -> None:
        """Learn that there is something to publish, or to be heard for the first time."""
        self._where.wanted.set()
        self._posts.on_added()

    async def run(self) -> None:
        """Serve until cancelled."""
        for warning in self._where.warnings():
            log.warning("mqtt_not_encrypted", reason=warning)
        if await self._writer.run(_is_wanted):
            self._where.wanted.set()
        await self._where.wanted.wait()
        backoff = Backoff()
        while True:
            began_s = anyio.current_time()
            try:
                async with self._where.served():
                    await first_of(self._where.child_ends, self._stay_connected)
            except QueenpostError as exc:
                self._trouble("start", exc)
            except OSError as exc:  # what the child is started with could not be written
                why = f"the fleet's MQTT broker cannot be started: {exc.strerror or exc}; is the disk full?"
                self._trouble("start", Unavailable(why))
            if anyio.current_time() - began_s > STEADY_S:
                backoff.reset()
            await anyio.sleep(backoff.next_s())

    async def _stay_connected(self) -> None:
        backoff = Backoff()
        while True:
            began_s = anyio.current_time()
            try:
                async with self._line() as line:
                    await first_of(*(partial(task, line) for task in (self._posts.run, self._hear, self._prove)))
            except QueenpostError as exc:
                self._trouble("connection", exc)
            if anyio.current_time() - began_s > STEADY_S:
                backoff.reset()
            await anyio.sleep(backoff.next_s())

    @asynccontextmanager
    async def _line(self) -> AsyncGenerator[MqttLine]:
        rules = self._rules()
        client_id = self._where.client_id(rules.fleet)
        async with connected(self._where.transport("bridge"), client_id, clean=False) as line:
            await line.subscribe(events_filter(rules.topic_prefix))
            log.info("bridge_hears", url=self._where.url, prefix=rules.topic_prefix)
            self._hears()
            self._where.hearing.set()
            self._carrier.line = line
            try:
                yield line
            finally:
                self._carrier.line = None
                self._where.hearing = anyio.Event()
                self._hears_since_ms = None

    def _hears(self) -> None:
        self.trouble = ""
        if self._hears_since_ms is None:
            self._hears_since_ms = self._clock.awake_ms()

    def _trouble(self, by: Step, exc: QueenpostError) -> None:
        if self.trouble != exc.message:  # once for each reason, not for each attempt
            log.warning("bridge_interrupted", by=by, code=exc.code, reason=exc.message)
        self.trouble = exc.message
        self._hears_since_ms = None
        self._where.failed(exc.message)

    async def _hear(self, line: MqttLine) -> None:
        """Judge what comes, until the line is lost. Many are judged in one commit, and settled behind it.

        What comes meanwhile waits: behind an event that could not be recorded, none of its job is taken.
        """
        async for first in line.heard:
            batch = [first]
            with suppress(anyio.WouldBlock, anyio.EndOfStream):
                while len(batch) < HEARD_AT_ONCE:
                    batch.append(line.heard.receive_nowait())
            await self._take(line, batch)
        raise LineLost("the connection to the MQTT broker ended")

    async def _take(self, line: MqttLine, batch: Sequence[Heard]) -> None:
        rules = self._rules()
        due = [heard for heard in batch if not self._proofs.take(rules.topic_prefix, heard)]
        try:
            if due:
                await self._writer.run(partial(_record, batch=due, rules=rules))
        except QueenpostError:
            await self._take_singly(line, batch, due)
        for heard in batch:
            line.settle(heard)

    async def _take_singly(self, line: MqttLine, batch: Sequence[Heard], due: Sequence[Heard]) -> None:
        """Find out over which event a commit fails: what is of its job waits with it, the others are taken.

        Raises:
            Unavailable: some were not recorded. They are not settled: they come again on the next connection, when the
                disk may have room.
        """
        rules, failed, reason = self._rules(), set[str](), ""
        for heard in batch:
            if heard in due:
                if heard.topic in failed:
                    continue
                try:
                    await self._writer.run(partial(_record, batch=[heard], rules=rules))
                except QueenpostError as exc:
                    log.error("job_event_not_recorded", code=exc.code, reason=exc.message)
                    failed.add(heard.topic)
                    reason = exc.message
                    continue
            line.settle(heard)
        if failed:
            raise Unavailable(f"what is said cannot be recorded: {reason}")

    async def _prove(self, line: MqttLine) -> None:
        """Where the MQTT broker has rules of others, find out whether they let the bridge hear at all.

        Some answer a subscription, and an event, with yes, and let nothing through.
        """
        while self._where.kind == "external":
            rules = self._rules()
            with self._proofs.made(rules.fleet, rules.topic_prefix) as proof:
                await self._say(line, proof)
                if proof.heard.is_set():
                    self._hears()
                    break
            act = f"publish to {events_filter(rules.topic_prefix)} and read it"
            self._trouble("rules", self._where.transport("bridge").forbidden(act))
            await anyio.sleep(PROVE_AGAIN_S)
        await anyio.sleep_forever()

    async def _say(self, line: MqttLine, proof: Proof) -> None:
        with anyio.move_on_after(PROVEN_S), suppress(Denied):
            await line.publish(proof.topic, proof.payload)
            await proof.heard.wait()


def _is_wanted(tx: Tx) -> bool:
    return tx.one("jobs.open_or_said") is not None


def _record(tx: Tx, batch: Sequence[Heard], rules: Rules) -> None:
    for heard in batch:
        if heard.too_long is not None:
            job_events.too_long(tx, heard.topic, heard.too_long.length, heard.too_long.sha256)
        elif heard.payload:
            job_events.record(tx, heard.topic, heard.payload, rules)
        else:
            job_events.cleared(tx, heard.topic, rules)
