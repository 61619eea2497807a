"""Limits belong to an account, not to an agent: how many turns run at once, and what all wait for together (DESIGN 8).

A wall is what stands in the way of every agent of an account: its quota, its login, the network. Nobody runs against
it: all of them park, one tries again when it may be over, and behind that one the others follow, spread out.
"""

import math
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from harness.backends.protocol import NotStartedError
from wire.clock import Clock
from wire.logs import get_logger
from wire.turns import Outcome

SPREAD_MS = 60_000
"""Within so long after the first success everybody goes on."""
LATEST_MS = 30_000
"""So long after the end of a quota at most is it tried."""

FIRST_S: dict[Outcome, float] = {
    "rate_limited": 30.0,
    "overloaded": 5.0,
    "offline": 1.0,
    "auth": 60.0,
    "credit": 60.0,
}
"""The outcomes that are a wall, and how long it is left alone where the program does not say until when."""
LONGEST_S: dict[Outcome, float] = {
    "rate_limited": 900.0,
    "overloaded": 300.0,
    "offline": 60.0,
    "auth": 600.0,
    "credit": 600.0,
}

log = get_logger("harness")

Pause = Callable[[anyio.Event, float], Awaitable[None]]
"""Waits for an event, for so many seconds at most."""
Say = Callable[[str, int], Awaitable[None]]
"""Told why an agent waits, and until when about; an instant of the wall clock, in ms."""


async def wait_for(event: anyio.Event, seconds: float) -> None:
    """Wait in real time."""
    with anyio.move_on_after(seconds):
        await event.wait()


@dataclass(slots=True)
class Wall:
    """What stands in the way."""

    outcome: Outcome
    reason: str
    until_ms: int
    prober: str | None = None
    """Who tries whether it is over."""


@dataclass
class Account:
    """One login, shared by agents of this harness."""

    name: str
    clock: Clock
    max_running: int | None = None
    """Turns at once; None: any number."""
    pause: Pause = wait_for
    dice: random.Random = field(default_factory=random.Random)
    wall: Wall | None = None
    running: int = 0
    """Turns that have a slot; one that lends its own is not among them."""

    def __post_init__(self) -> None:
        self._changed = anyio.Event()
        self._tries = Counter[Outcome]()
        """How often each kind of wall was met since a turn was completed."""
        self._starts: dict[str, int] = {}
        """Who waited at the wall, and when each may go on behind it."""
        self._queued: set[str] = set()
        """Who waits for a slot, and for nothing else."""
        self._lending: set[str] = set()
        self._returning = 0
        """Turns that want back what they lent. They go before those that have not begun."""

    # --- the wall -----------------------------------------------------------------------------------

    async def passed(self, agent: str, say: Say) -> None:
        """Return when mail may be asked for: there is no wall, or it may be over."""
        while self.wall is not None and (left_ms := self.wall.until_ms - self.clock.wall_ms()) > 0:
            self._starts[agent] = self.wall.until_ms
            await say(self.wall.reason, self.wall.until_ms)
            await self.pause(self._changed, left_ms / 1000)

    @asynccontextmanager
    async def admission(self, agent: str, say: Say) -> AsyncGenerator[None]:
        """Run a turn inside: one at a time where a wall may be over, and no more than `max_running` at once.

        Raises:
            NotStartedError: on entering; it turned out that the wall is still there.
        """
        await self._behind_the_wall(agent, say)
        async with self._slot(agent, say):
            yield

    async def _behind_the_wall(self, agent: str, say: Say) -> None:
        while self.wall is not None:
            now_ms = self.clock.wall_ms()
            if now_ms < self.wall.until_ms:
                self._starts.pop(agent, None)
                raise NotStartedError(self.wall.outcome, self.wall.reason)
            if self.wall.prober in (None, agent):
                self.wall.prober = agent
                return
            self._starts[agent] = now_ms
            await say(f"{self.wall.prober} tries first: {self.wall.reason}", now_ms)
            await self.pause(self._changed, math.inf)
        while (start_ms := self._starts.get(agent, 0)) > self.clock.wall_ms():
            await say(f"{self.name} is open again; its agents go on one by one", start_ms)
            await self.pause(self._changed, (start_ms - self.clock.wall_ms()) / 1000)
        self._starts.pop(agent, None)

    def note(
        self, agent: str, outcome: Outcome, reason: str, *, begun: bool = False, until_ms: int | None = None
    ) -> bool:
        """Take in how a turn ended; True if that is a wall, for which all agents of the account wait then."""
        if outcome in FIRST_S:
            self._build(agent, outcome, reason, until_ms)
            return True
        if outcome == "completed" or begun:
            self._tear_down(agent)
        else:
            self.gave_up(agent)
        return False

    def gave_up(self, agent: str) -> None:
        """The agent tries nothing any more: if it was the one that should, another one may."""
        self._starts.pop(agent, None)
        if self.wall is not None and self.wall.prober == agent:
            self.wall.prober = None
            self._tell()

    def _build(self, agent: str, outcome: Outcome, reason: str, until_ms: int | None) -> None:
        if self.wall is not None and self.wall.prober != agent and until_ms is None:
            return  # of a turn that had begun before the wall was known
        now_ms = self.clock.wall_ms()
        if until_ms is None or until_ms <= now_ms:
            bound_s = min(FIRST_S[outcome] * 2.0 ** self._tries[outcome], LONGEST_S[outcome])
            self._tries[outcome] = min(self._tries[outcome] + 1, 32)
            until_ms = now_ms + int(1000 * bound_s * self.dice.uniform(0.5, 1.0))
        else:  # not every fleet of the world in the same second
            until_ms += self.dice.randrange(1000, LATEST_MS)
        self.wall = Wall(outcome, reason, until_ms)
        log.warning("account_parked", account=self.name, outcome=outcome, reason=reason, until_ms=until_ms)
        self._tell()

    def _tear_down(self, agent: str) -> None:
        self._tries.clear()
        if self.wall is None:
            return
        log.info("account_open", account=self.name, after=self.wall.outcome, found_by=agent)
        self.wall = None
        waiting = [name for name in self._starts if name != agent]
        self.dice.shuffle(waiting)
        now_ms, step_ms = self.clock.wall_ms(), SPREAD_MS // (len(waiting) + 1)
        self._starts = {name: now_ms + step_ms * index for index, name in enumerate(waiting)}
        self._tell()

    # --- slots --------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Say whether a turn would have to wait for another one's end."""
        return self.max_running is not None and self.running + self._returning >= self.max_running

    def is_queued(self, agent: str) -> bool:
        """Say whether an agent waits for nothing but a slot."""
        return agent in self._queued

    @asynccontextmanager
    async def lent(self, agent: str, say: Say) -> AsyncGenerator[None]:
        """Let another turn have the agent's slot while the body runs; leaving waits until there is one again.

        For a turn in which the program stands still. Of several at once in one turn, the first lends and takes back.
        """
        if self.max_running is None or agent in self._lending:
            yield
            return
        self._lending.add(agent)
        self.running -= 1
        self._tell()
        try:
            yield
            await self._back(say)
        finally:
            # Counted in any case: a turn that is ended meanwhile gives its slot back as every turn does.
            self._lending.discard(agent)
            self.running += 1

    async def _back(self, say: Say) -> None:
        self._returning += 1
        try:
            while self.max_running is not None and self.running >= self.max_running:
                await say(f"it lent its turn; {self._in_use()}", self.clock.wall_ms())
                await self.pause(self._changed, math.inf)
        finally:
            self._returning -= 1

    @asynccontextmanager
    async def _slot(self, agent: str, say: Say) -> AsyncGenerator[None]:
        """Hold one of the turns that may run at once; waits for one."""
        self._queued.add(agent)
        try:
            while self.is_full:
                await say(self._in_use(), self.clock.wall_ms())
                await self.pause(self._changed, math.inf)
        finally:
            self._queued.discard(agent)
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._tell()

    def _in_use(self) -> str:
        return f"{self.running} of {self.max_running} turns of {self.name} run"

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class Accounts:
    """The accounts of this harness, made when the first agent of each comes."""

    def __init__(self) -> None:
        self._known: dict[str, Account] = {}

    def get(self, name: str, clock: Clock, max_running: int | None = None) -> Account:
        """Give an account; what the file says now holds from now on."""
        account = self._known.setdefault(name, Account(name, clock))
        account.max_running = max_running
        return account
