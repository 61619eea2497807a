"""What stands in the way of all agents of an account: nobody runs against it, one tries, the rest follow (DESIGN 8)."""

import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import anyio
import pytest

from harness.accounts import LATEST_MS, SPREAD_MS, Account
from harness.backends.protocol import NotStartedError
from wire.clock import FakeClock
from wire.turns import Outcome

HOUR_MS = 3_600_000


@dataclass
class Provider:
    """An account in virtual time: whoever waits lets it pass, one step at a time."""

    max_running: int | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    said: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self._due: list[tuple[int, anyio.Event]] = []
        self.account = Account("team", self.clock, self.max_running, pause=self._pause, dice=random.Random(7))

    async def _pause(self, event: anyio.Event, seconds: float) -> None:
        timer = anyio.Event()
        if seconds != float("inf"):
            self._due.append((self.clock.wall_ms() + round(seconds * 1000), timer))
        async with anyio.create_task_group() as tasks:
            for one in (event, timer):
                tasks.start_soon(self._end_with, one, tasks.cancel_scope)

    async def _end_with(self, event: anyio.Event, scope: anyio.CancelScope) -> None:
        await event.wait()
        scope.cancel()

    async def say(self, reason: str, until_ms: int) -> None:
        """Note what an agent says that it waits for."""
        self.said.append((reason, until_ms))

    async def pass_time(self, milliseconds: int) -> None:
        """Let time pass, from one alarm to the next."""
        end_ms = self.clock.wall_ms() + milliseconds
        await anyio.wait_all_tasks_blocked()
        while due := sorted((at, id(timer)) for at, timer in self._due if at <= end_ms):
            self.clock.advance(max(due[0][0] - self.clock.wall_ms(), 0))
            now_ms = self.clock.wall_ms()
            for _, timer in [one for one in self._due if one[0] <= now_ms]:
                timer.set()
            self._due = [one for one in self._due if one[0] > now_ms]
            await anyio.wait_all_tasks_blocked()
        self.clock.advance(end_ms - self.clock.wall_ms())

    def wall(self, outcome: Outcome = "rate_limited", until_ms: int | None = None, agent: str = "first") -> int:
        """Run into a wall; gives until when it stands."""
        assert self.account.note(agent, outcome, "the quota is used up", until_ms=until_ms)
        assert self.account.wall is not None
        return self.account.wall.until_ms


@dataclass
class Fleet:
    """Agents of one account that all have mail."""

    provider: Provider
    started: dict[str, int] = field(default_factory=dict[str, int])
    """When each one's program was started, the last time."""
    refused: list[str] = field(default_factory=list[str])
    ends: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    """How a turn of each ends, if not completed."""

    async def work(self, agent: str) -> None:
        """Do one turn, however long that takes."""
        account = self.provider.account
        while True:
            await account.passed(agent, self.provider.say)
            try:
                async with account.admission(agent, self.provider.say):
                    self.started[agent] = self.provider.clock.wall_ms()
                outcome = self.ends.pop(agent, "completed")
            except NotStartedError as exc:
                self.refused.append(agent)
                outcome = exc.outcome
            if not account.note(agent, outcome, "again"):
                return


async def test_without_a_wall_nobody_waits() -> None:
    """[P08] Ours."""
    provider = Provider()
    with anyio.fail_after(15):
        await Fleet(provider).work("alice")
    assert provider.said == []


async def test_a_quota_parks_all_until_its_reset_and_one_goes_first() -> None:
    """[P08] Issue 4: no respawn, resumed at most 60 s after the reset, no herd."""
    provider = Provider()
    fleet = Fleet(provider)
    reset_ms = provider.clock.wall_ms() + 14 * HOUR_MS
    provider.wall(until_ms=reset_ms)
    names = [f"agent-{number}" for number in range(20)]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(fleet.work, name)
            await provider.pass_time(14 * HOUR_MS)
            assert fleet.started == {}
            await provider.pass_time(LATEST_MS + SPREAD_MS)
    starts = sorted(fleet.started.values())
    assert len(starts) == len(names)
    assert reset_ms < starts[0] <= reset_ms + LATEST_MS
    assert starts[-1] <= starts[0] + SPREAD_MS
    assert max(starts.count(start) for start in starts[1:]) <= 2, "a herd"
    assert fleet.refused == []


async def test_a_probe_that_fails_keeps_the_others_away() -> None:
    """[P08] Ours: who holds mail gives it back, and all wait on, for longer."""
    provider = Provider()
    fleet = Fleet(provider)
    provider.wall("overloaded")
    first = ""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in ("alice", "bob", "carol"):
                fleet.ends[name] = "overloaded"
                tasks.start_soon(fleet.work, name)
            await provider.pass_time(5000)
            assert len(fleet.started) == 1
            first = next(iter(fleet.started))
            await provider.pass_time(2 * HOUR_MS)
    assert len(fleet.started) == 3
    assert first in fleet.started
    assert [name for name in fleet.refused if name == first] == []


@pytest.mark.parametrize("outcome", ["rate_limited", "overloaded", "offline", "auth", "credit"])
async def test_without_a_word_of_the_program_it_is_tried_later_and_later(outcome: Outcome) -> None:
    """[P08] DESIGN 8: within bounds, and soon again once something worked."""
    provider = Provider()
    waits: list[int] = []
    for _ in range(12):
        waits.append(provider.wall(outcome) - provider.clock.wall_ms())
        provider.clock.advance(waits[-1])
        async with provider.account.admission("first", provider.say):
            pass
    assert waits[-1] > waits[0]
    assert max(waits) <= 900_000
    assert not provider.account.note("first", "completed", "")
    assert provider.wall(outcome) - provider.clock.wall_ms() <= waits[0] * 2


@pytest.mark.parametrize("outcome", ["crashed", "hung", "context_full", "max_turns", "interrupted", "bad_model"])
def test_what_is_one_agents_own_trouble_parks_nobody(outcome: Outcome) -> None:
    """Ours: a model that does not exist is asked for by one agent."""
    provider = Provider()
    assert not provider.account.note("alice", outcome, "its own")
    assert provider.account.wall is None


async def test_a_prober_that_goes_away_leaves_the_probe_to_another() -> None:
    """Ours: an agent that is removed, paused or fenced in the middle strands nobody."""
    provider = Provider()
    fleet = Fleet(provider)
    provider.clock.advance(provider.wall() - provider.clock.wall_ms())
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks, AsyncExitStack() as stack:
            await stack.enter_async_context(provider.account.admission("alice", provider.say))
            tasks.start_soon(fleet.work, "bob")
            await anyio.wait_all_tasks_blocked()
            assert fleet.started == {}
            provider.account.gave_up("alice")
    assert list(fleet.started) == ["bob"]


async def test_a_turn_that_began_to_be_answered_shows_that_the_wall_is_gone() -> None:
    """Ours: it crashed later, but the provider had answered."""
    provider = Provider()
    provider.clock.advance(provider.wall() - provider.clock.wall_ms())
    async with provider.account.admission("alice", provider.say):
        pass
    assert not provider.account.note("alice", "crashed", "", begun=True)
    assert provider.account.wall is None


async def test_no_more_turns_run_at_once_than_the_account_allows() -> None:
    """Issue 4: `max_running`; who waits says so and gets the next slot."""
    provider = Provider(max_running=2)
    running: list[int] = []
    most = 0

    async def turn(agent: str) -> None:
        nonlocal most
        async with provider.account.admission(agent, provider.say):
            running.append(1)
            most = max(most, len(running))
            await anyio.lowlevel.checkpoint()
            running.pop()

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(turn, f"agent-{number}")
    assert most == 2
    assert provider.account.running == 0
    assert "2 of 2 turns of team run" in [reason for reason, _ in provider.said]


async def test_a_turn_lends_its_slot_and_has_it_again_before_others_that_have_not_begun() -> None:
    """[P06] DESIGN 8: one login runs one turn at a time, also while one turn decides what another one may do."""
    account = (provider := Provider(max_running=1)).account
    order: list[str] = []
    decides, decided, ends = anyio.Event(), anyio.Event(), anyio.Event()

    async def worker() -> None:
        async with account.admission("worker", provider.say):
            order.append("worker asks")
            async with account.lent("worker", provider.say):
                decides.set()
                await decided.wait()
            order.append("worker goes on")

    async def manager() -> None:
        async with account.admission("manager", provider.say):
            order.append("manager decides")
            decided.set()
            await ends.wait()

    async def other() -> None:
        async with account.admission("other", provider.say):
            order.append("other")

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker)
            await decides.wait()
            tasks.start_soon(manager)
            await decided.wait()
            tasks.start_soon(other)
            await anyio.wait_all_tasks_blocked()
            assert account.running == 1
            assert account.is_queued("other")
            assert not account.is_queued("worker")
            assert "it lent its turn; 1 of 1 turns of team run" in [reason for reason, _ in provider.said]
            ends.set()
    assert order == ["worker asks", "manager decides", "worker goes on", "other"]
    assert (account.running, account.is_full) == (0, False)


@pytest.mark.parametrize("back", [False, True])
async def test_a_turn_that_is_ended_while_it_has_lent_its_slot_leaves_the_count_right(back: bool) -> None:
    """Ours: in the middle of what it waits for, and while it waits for a slot again."""
    account = (provider := Provider(max_running=1)).account
    lends = anyio.Event()

    async def worker(scope: anyio.CancelScope) -> None:
        with scope:
            async with account.admission("worker", provider.say), account.lent("worker", provider.say):
                lends.set()
                if not back:
                    await anyio.sleep_forever()
                await anyio.wait_all_tasks_blocked()

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            tasks.start_soon(worker, scope)
            await lends.wait()
            async with account.admission("manager", provider.say):
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
                await anyio.wait_all_tasks_blocked()
                assert account.running == 1
                assert account.is_full
    assert (account.running, account.is_full) == (0, False)
    async with account.admission("other", provider.say):
        assert account.running == 1


async def test_of_several_questions_of_a_turn_one_lends_its_slot() -> None:
    """Ours: it has no second one."""
    account = (provider := Provider(max_running=2)).account
    async with (
        account.admission("worker", provider.say),
        account.lent("worker", provider.say),
        account.lent("worker", provider.say),
    ):
        assert account.running == 0
    assert account.running == 0
