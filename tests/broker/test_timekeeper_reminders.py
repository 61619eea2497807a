"""Reminders in a running broker: its one timer fires them, sends get through between, and SIGTERM ends it at once."""

import threading
from collections.abc import Iterator
from functools import partial

import anyio
import pytest

from broker import timekeeper
from broker.services import firings, wakeups
from broker.store.tx import Tx
from tests.fakes.broker import BrokerProcess, Fleet, LocalBroker, short_home
from wire.client import new_key
from wire.clock import FakeClock
from wire.errors import Full
from wire.home import Home
from wire.inbox import InboxList, InboxListed
from wire.reminders import (
    PER_TRANSACTION,
    RemindersAdd,
    RemindersAdded,
    RemindersCounted,
    RemindersList,
    RemindersListed,
    RemindersStats,
)

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


async def remind(fleet: Fleet, text: str = "look", *, delay_s: float | None = None, cron: str | None = None) -> None:
    """Set a reminder for bob as the operator."""
    request = RemindersAdd(key=new_key(), message=text, delay_s=delay_s, cron=cron, agent="bob")
    await (await fleet.operator()).call(request, RemindersAdded)


async def bobs_mail(fleet: Fleet) -> list[str]:
    """Give what is in bob's inbox."""
    listed = await (await fleet.operator()).call(InboxList(agent="bob", limit=1000), InboxListed)
    return [item.body for item in listed.items]


async def fired(fleet: Fleet) -> int:
    """Count bob's firings of all time."""
    counted = await (await fleet.operator()).call(RemindersStats(agent="bob", since_ms=0), RemindersCounted)
    return sum(one.delivered for one in counted.agents)


async def test_the_timer_fires_a_reminder_and_wakes_its_agent(home: Home) -> None:
    """[H10] DESIGN 5: on the clocks of this machine; nothing else happens meanwhile."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        await remind(fleet, "after a moment", delay_s=0.05)
        with anyio.fail_after(10):
            turn = await bob.opened()
        assert [(mail.kind, mail.body) for mail in turn.mail] == [("reminder", "after a moment")]


async def test_what_is_due_at_a_start_fires_after_it(home: Home) -> None:
    """[H10] Issue 3: the program was killed before; once, with nobody asking for it."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        for number in range(3):
            await remind(fleet, str(number), delay_s=0.2)
        await fleet.kill()
        await fleet.start()
        with anyio.fail_after(30):
            while len(await bobs_mail(fleet)) < 3:
                await anyio.lowlevel.checkpoint()
        assert sorted(await bobs_mail(fleet)) == ["0", "1", "2"]
        assert await fired(fleet) == 3


async def test_others_get_their_turn_between_transactions_that_fire(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[H13] DESIGN 5: the timekeeper rests while more are due, so that sends are not behind all of them."""
    rests: list[float] = []
    clock = FakeClock()
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        for _ in range(PER_TRANSACTION + 1):
            await remind(fleet, delay_s=60)
        clock.advance(60_000)
        real = anyio.sleep

        async def sleep(seconds: float) -> None:
            rests.append(seconds)
            await real(0)

        with monkeypatch.context() as patched:
            patched.setattr(anyio, "sleep", sleep)
            await fleet.keeper.do_what_is_due()
            (rest,) = rests
            assert timekeeper.REST_MIN_S <= rest <= timekeeper.REST_MAX_S
            await fleet.keeper.do_what_is_due()
            assert rests == [rest]
        assert await fired(fleet) == PER_TRANSACTION + 1


async def test_sigterm_ends_a_drain_within_2_s_and_the_rest_fires_later(home: Home) -> None:
    """[H12] Issue 3: the transaction under way is finished, rc 0; nothing is lost by it and nothing doubled."""
    count = 1000
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(partial(remind, fleet, str(number), delay_s=1.0))
        with anyio.fail_after(30):
            while not await fired(fleet):
                await anyio.lowlevel.checkpoint()
        with anyio.fail_after(2):
            assert await fleet.terminate() == 0
        await fleet.start()
        with anyio.fail_after(30):
            while await fired(fleet) < count:
                await anyio.lowlevel.checkpoint()
        listed = await (await fleet.operator()).call(RemindersList(agent="bob"), RemindersListed)
        assert listed.reminders == []
        assert sorted(await bobs_mail(fleet), key=int) == [str(number) for number in range(count)]


async def test_nothing_of_the_timekeeper_outlives_the_broker(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """[H12] Issue 3: no task and no thread; what was due but not fired is still due."""
    calls: list[int] = []
    real = firings.fire_due

    def counted(tx: Tx) -> int:
        calls.append(1)
        return real(tx)

    monkeypatch.setattr(firings, "fire_due", counted)
    clock = FakeClock()
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        for _ in range(PER_TRANSACTION + 1):
            await remind(fleet, delay_s=60)
        clock.advance(60_000)
        await fleet.keeper.do_what_is_due()
        fleet.stop()
    ended = len(calls)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("queenpost")] == []
    clock.advance(DAY_MS)
    await anyio.lowlevel.checkpoint()
    assert len(calls) == ended
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.operator()
        with anyio.fail_after(10):
            while await fired(fleet) <= PER_TRANSACTION:
                await anyio.lowlevel.checkpoint()
        assert len(await bobs_mail(fleet)) == PER_TRANSACTION + 1


async def test_a_disk_that_is_full_for_a_moment_delays_a_reminder_only(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[H10] DESIGN 6: the timekeeper tries again by itself; the attempt is not the reminder's."""
    tries = 0
    real = wakeups.run_due

    def sometimes(tx: Tx, heard_for_ms: int) -> bool:
        nonlocal tries
        done = real(tx, heard_for_ms)
        tries += 1
        if tries <= 4:
            raise Full("no room for a moment")
        return done

    monkeypatch.setattr(wakeups, "run_due", sometimes)
    monkeypatch.setattr(timekeeper, "ROUND_S", 0.01)
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        await remind(fleet, delay_s=0)
        with anyio.fail_after(10):
            turn = await bob.opened()
        assert len(turn.mail) == 1
        assert tries > 4
        assert await fired(fleet) == 1
