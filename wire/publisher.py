"""The publisher: carries what waits in an outbox to the MQTT broker, and again, until the broker's record shows it.

One long-lived connection, many events in flight. PUBACK is no proof; only `jobs.recorded` is. From another machine the
fleet's broker carries them (`wire.link_line`).
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex
from typing import Literal

import anyio
from anyio import to_thread

from wire.backoff import Backoff
from wire.errors import QueenpostError
from wire.jobs import MAX_SHOWN, REPLAY_WINDOW, JobsFates, JobsTransported, Mark
from wire.link_line import Carry, Line, line_of
from wire.logs import get_logger
from wire.mqtt import LineLost
from wire.outbox import Order, Outbox, Waiting
from wire.racing import first_of
from wire.suspects import Suspects

CONFIRM_FIRST_S, CONFIRM_CAP_S = 0.02, 5.0
AGAIN_AFTER_S = 10.0
"""An event that was sent and is not recorded for so long is sent again, the same bytes."""
STEADY_S = 10.0
PAGE, PAGES = 500, 4
"""So many events are looked at, one page after the other while nothing of those before is due."""
LOOK_S = 1.0
"""How often one looks for what has to be sent again."""

Hindrance = Literal["interrupted", "not_taken", "put_off", "not_heard"]
TOO_LONG = (
    "the MQTT broker at {where} ends the connection over event {one.seq} of {one.job}, of {size} bytes; is that longer "
    "than it takes? Raise its limit of a message. The event is kept and tried again; others go on"
)
NOT_HEARD = (
    "the MQTT broker at {where} took event {one.seq} of {one.job}, and the fleet's broker did not hear it within "
    "{after_s:g} s: `queenpost doctor` says which rule of the MQTT broker is in the way. It is sent again"
)

OTHER_TOPICS = (
    "event {one.seq} of {one.job} was signed for {one.topic}, and the fleet hears {prefix}/jobs/+/events: its name or "
    "[mqtt] topic_prefix has changed. Claim the job again; what was signed before is given up then"
)

Confirm = Callable[[list[Mark]], Awaitable[JobsFates]]
Tell = Callable[[], Awaitable[JobsTransported]]

log = get_logger("publisher")


@dataclass(slots=True)
class Way:
    """What is under way over one connection."""

    where: str
    """The MQTT broker, for people."""
    prefix: str
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    """What is known to be in the outbox."""
    whole: bool = False
    """That is all of it."""
    sent: dict[int, float] = field(default_factory=dict[int, float])
    """When what is not decided was sent, by its number in the outbox."""
    again: set[int] = field(default_factory=set[int])
    """Sent more than once."""
    news: anyio.Event = field(default_factory=anyio.Event)
    """Set when something was sent."""


@dataclass(slots=True)
class Publisher:
    """One per outbox; `run` is its only task."""

    name: str
    """Of the principal; part of the MQTT client id."""
    outbox: Outbox
    tell: Tell
    """Asks where the MQTT broker is."""
    confirm: Confirm
    """Asks what was recorded."""
    carry: Carry
    """Has an event published where one is told to hand it in over the link."""
    changed: anyio.Event = field(default_factory=anyio.Event)
    trouble: str = ""
    """Why nothing is published at the moment; empty while it is."""
    _lock: anyio.Lock = field(default_factory=anyio.Lock)
    _orders: list[Order] = field(default_factory=list[Order])
    """To be added with the next commit."""
    _fresh: list[Waiting] = field(default_factory=list[Waiting])
    """Added since the outbox was looked at."""
    _suspects: Suspects = field(default_factory=Suspects)
    _on_the_way: set[int] = field(default_factory=set[int])
    """Sent, and not taken by the MQTT broker yet."""

    async def add(self, job: str, epoch: int, topic: str, sign: Callable[[int], bytes], *, retain: bool) -> int:
        """Keep an event, to be published as soon as can be; durable once this returns, also with no MQTT broker.

        Raises:
            Full: nothing was added.
        """
        order = Order(job, epoch, topic, sign, retain)
        self._orders.append(order)
        try:
            async with self._lock:
                if not order.done:  # else somebody before us has taken it along: one commit for all who wait
                    orders, self._orders = self._orders, []
                    await to_thread.run_sync(self.outbox.add_all, orders)
                    self._fresh += [one.kept for one in orders if one.kept is not None]
        except BaseException:
            if order in self._orders:  # cancelled before anybody took it
                self._orders.remove(order)
            raise
        self.changed.set()
        return order.result()

    async def run(self) -> None:
        """Publish until cancelled. Asks for the MQTT broker only when there is something to say."""
        backoff = Backoff()
        while True:
            began_s = anyio.current_time()
            try:
                await self._something()
                began_s = anyio.current_time()
                await self._connection()
            except QueenpostError as exc:
                self._say("interrupted", exc.message)
            if anyio.current_time() - began_s > STEADY_S:
                backoff.reset()
            await anyio.sleep(backoff.next_s())

    async def drained(self) -> None:
        """Wait until nothing waits in the outbox."""
        while await self._count():
            self.changed.set()
            await anyio.sleep(CONFIRM_FIRST_S)

    async def _something(self) -> None:
        while not await self._count():
            self.changed = anyio.Event()
            if await self._count():  # added just before
                return
            await self.changed.wait()

    async def _count(self) -> int:
        async with self._lock:
            return await to_thread.run_sync(self.outbox.count)

    def _say(self, what: Hindrance, trouble: str) -> None:
        if trouble and self.trouble != trouble:  # once for each reason, not for each attempt
            log.warning("publishing_hindered", what=what, publisher=self.name, reason=trouble)
        self.trouble = trouble

    async def _connection(self) -> None:
        told = await self.tell()
        self._on_the_way.clear()
        # A name of its own each time: one that is taken would throw out whoever has it.
        async with line_of(told, f"queenpost-{self.name}-{token_hex(4)}", self.carry) as line:
            if not told.by_link:  # else the first event will tell
                self.trouble = ""
            way = Way(line.where, told.prefix)
            try:
                await first_of(line.lost.wait, partial(self._send, line, way), partial(self._confirm, way))
            finally:
                if line.hung_up:
                    self._suspects.accuse(self._on_the_way, anyio.current_time())
            raise line.gone()

    async def _send(self, line: Line, way: Way) -> None:
        """Send what waits, as it comes; what was sent and is not recorded is sent again after a while."""
        while True:
            self.changed = anyio.Event()
            due = await self._look(way)
            if due:
                await self._publish(line, due)
                way.again |= {one.number for one in due if one.number in way.sent}
                way.sent |= dict.fromkeys((one.number for one in due), anyio.current_time())
                way.news.set()
            with anyio.move_on_after(LOOK_S if way.waiting else math.inf):
                await self.changed.wait()

    async def _look(self, way: Way) -> list[Waiting]:
        """Give what is due: of what was just added, else of all that waits in the outbox."""
        if self._fresh and way.whole:
            fresh, self._fresh = self._fresh, []
            way.waiting = [*way.waiting, *fresh]
            if due := self._due(way.waiting, way.sent):
                return due
        return await self._look_at_all(way)

    async def _look_at_all(self, way: Way) -> list[Waiting]:
        """Look into the outbox, further on where nothing of what is seen is due: it may wait for good."""
        found: list[Waiting] = []
        while True:
            after = found[-1].number if found else 0
            async with self._lock:
                self._fresh = []  # it is among what is read now, or behind it
                page = await to_thread.run_sync(self.outbox.waiting, after, PAGE)
            found += page
            due = self._due(found, way.sent)
            way.whole = len(page) < PAGE
            if due or way.whole or len(found) >= PAGE * PAGES:
                way.waiting = found
                return due

    async def _confirm(self, way: Way) -> None:
        """Ask what became of what was sent, until it is decided; not at once, for it takes a moment to be recorded."""
        pause = Backoff(CONFIRM_FIRST_S, CONFIRM_CAP_S)
        while True:
            with anyio.move_on_after(pause.next_s() if way.waiting else math.inf):
                await way.news.wait()
                pause.reset()
            way.news = anyio.Event()
            await anyio.sleep(CONFIRM_FIRST_S)
            settled = await self._ask(way.waiting)
            way.waiting = [one for one in way.waiting if one.number not in settled]
            self._explain(way.waiting, way)
            for number in settled:
                way.sent.pop(number, None)
            if settled and not way.whole:
                self.changed.set()  # there is more than was looked at

    def _due(self, waiting: list[Waiting], sent: dict[int, float]) -> list[Waiting]:
        now_s = anyio.current_time()
        first: dict[tuple[str, int], int] = {}
        for one in waiting:
            first.setdefault((one.job, one.epoch), one.seq)
        return [
            one
            for one in waiting
            # What waits must not fall behind the window of what goes on before it.
            if one.seq - first[one.job, one.epoch] < REPLAY_WINDOW
            and now_s - sent.get(one.number, -AGAIN_AFTER_S) >= AGAIN_AFTER_S
            and not self._suspects.is_put_off(one.number, now_s)
        ]

    async def _publish(self, line: Line, events: list[Waiting]) -> None:
        """Send many at once, in order, those that are suspected first and each alone; wait until each has arrived."""
        alone = [one for one in events if self._suspects.is_alone(one.number)]
        for one in alone:
            await self._publish_one(line, one)
        rest = [one for one in events if one not in alone]
        if len(rest) == 1:  # most often: it needs no task of its own
            await self._publish_one(line, rest[0])
            return
        async with anyio.create_task_group() as group:
            for one in rest:
                group.start_soon(self._publish_one, line, one)

    async def _publish_one(self, line: Line, one: Waiting) -> None:
        if line.lost.is_set():
            return
        self._on_the_way.add(one.number)
        try:
            await line.publish(one.topic, one.payload, retain=one.retain)
        except LineLost:
            return
        except QueenpostError as exc:
            self._say("not_taken", exc.message)
        self._on_the_way.discard(one.number)
        self._suspects.clear(one.number)

    def _explain(self, left: list[Waiting], way: Way) -> None:
        """Say why something waits, where it does so for longer than it should."""
        now_s = anyio.current_time()
        for one in left:
            if self._suspects.is_put_off(one.number, now_s):
                self._say("put_off", TOO_LONG.format(one=one, size=len(one.payload), where=way.where))
                return
            if one.number in way.again:
                text = NOT_HEARD if one.topic.startswith(f"{way.prefix}/jobs/") else OTHER_TOPICS
                told = text.format(one=one, where=way.where, after_s=AGAIN_AFTER_S, prefix=way.prefix)
                self._say("not_heard", told)
                return
        self.trouble = ""

    async def _ask(self, waiting: list[Waiting]) -> set[int]:
        """Learn the fate of what was sent; what is decided is forgotten here."""
        settled: set[int] = set()
        for start in range(0, len(waiting), MAX_SHOWN):
            some = waiting[start : start + MAX_SHOWN]
            told = await self.confirm([Mark(job=one.job, epoch=one.epoch, seq=one.seq) for one in some])
            for one, fate in zip(some, told.fates, strict=True):
                if fate != "unknown":
                    settled.add(one.number)
                if fate == "fenced":
                    log.warning("event_fenced", publisher=self.name, job=one.job, epoch=one.epoch, seq=one.seq)
        for number in settled:
            self._suspects.clear(number)
        if settled:
            async with self._lock:
                await to_thread.run_sync(self.outbox.settle, settled)
        return settled
