"""What the broker does when its time has come: leases, waits, alarms, suspends, clocks that were set, the disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from broker import timekeeper
from broker.services import settling, statistics, wakeups
from broker.store.tx import Row, Tx
from tests.fakes.broker import LocalBroker, short_home
from tests.scenarios.fleet import settled, until
from wire.client import new_key
from wire.clock import FakeClock
from wire.errors import Full, Stale, Unknown
from wire.fleet import FleetApplied, FleetApply
from wire.home import Home
from wire.inbox import InboxList, InboxListed
from wire.turns import LEASE_MS, Turn, TurnsOpened, TurnsRenew, TurnsRenewed, TurnsResume

pytestmark = pytest.mark.anyio


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


@pytest.fixture
def clock() -> FakeClock:
    """Time that only the test lets pass."""
    return FakeClock()


async def operators_mail(fleet: LocalBroker) -> list[str]:
    """Give what the operator was told."""
    listed = await (await fleet.operator()).call(InboxList(), InboxListed)
    return [item.body for item in listed.items]


# ---- leases and waits


async def test_a_lease_that_nobody_renews_runs_out_after_60_s(home: Home, clock: FakeClock) -> None:
    """[H21] DESIGN 5.6: the mail is ready again; a late close is fine while nobody leased it again."""
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        sent = await fleet.send("bob")
        turn = await bob.opened()
        clock.advance(LEASE_MS - 1)
        await fleet.keeper.do_what_is_due()
        assert await fleet.state_of(sent.id) == "in_turn"
        clock.advance(1)
        await fleet.keeper.do_what_is_due()
        assert await fleet.state_of(sent.id) == "queued"
        with pytest.raises(Stale):
            await bob.client.call(TurnsRenew(turn=turn.id), TurnsRenewed, as_="bob")
        resumed = await bob.client.call(TurnsResume(turn=turn.id), TurnsOpened, as_="bob")
        assert resumed.turn is not None
        assert (await bob.close(turn.id)).acked == [sent.id]


async def test_a_lease_that_is_renewed_lasts(home: Home, clock: FakeClock) -> None:
    """DESIGN 5.6: renewed every 15 s while the agent lives."""
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        sent = await fleet.send("bob")
        turn = await bob.opened()
        for _ in range(10):
            clock.advance(15_000)
            await bob.client.call(TurnsRenew(turn=turn.id), TurnsRenewed, as_="bob")
            await fleet.keeper.do_what_is_due()
        assert await fleet.state_of(sent.id) == "in_turn"


async def test_a_wait_ends_when_its_time_is_up(home: Home) -> None:
    """[H02] DESIGN 5.2: on the clocks of this machine; nothing else happens meanwhile."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        with anyio.fail_after(10):
            assert await bob.open(wait_s=0.05) is None


async def test_mail_that_backed_off_wakes_a_parked_open(home: Home, clock: FakeClock) -> None:
    """DESIGN 5.5, 5.8: one due-timer; 1 s after a counted failure the mail is handed over again."""
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        await fleet.send("bob")
        await bob.close((await bob.opened()).id, "crashed")
        opened: list[Turn | None] = []

        async def park() -> None:
            opened.append(await bob.open(wait_s=180))

        async with anyio.create_task_group() as group:
            group.start_soon(park)
            await settled(bob.client)
            clock.advance(999)
            await fleet.keeper.do_what_is_due()
            assert opened == []
            clock.advance(1)
            await fleet.keeper.do_what_is_due()
        (turn,) = opened
        assert turn is not None
        assert [mail.attempt for mail in turn.mail] == [2]


# ---- clocks


async def test_a_suspend_costs_no_lease(home: Home, clock: FakeClock) -> None:
    """DESIGN 5.7: after a suspend every lease and alarm gets one fresh period."""
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        sent = await fleet.send("bob")
        await bob.opened()
        await fleet.keeper.round()
        clock.advance(3_600_000, suspended=True)
        await fleet.keeper.round()
        await fleet.keeper.do_what_is_due()
        assert await fleet.state_of(sent.id) == "in_turn"
        clock.advance(LEASE_MS)
        await fleet.keeper.do_what_is_due()
        assert await fleet.state_of(sent.id) == "queued"


@pytest.mark.parametrize("step_s", [-86_400, -10, 10, 86_400])
async def test_a_clock_that_is_set_neither_ends_nor_prolongs_a_back_off(
    home: Home, clock: FakeClock, step_s: int
) -> None:
    """DESIGN 5.7, 5.8: back-offs keep their length, leases start anew, whichever way the clock went."""
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("alice", "bob")
        alice, bob = await fleet.harness("alice", "bob")
        held = await fleet.send("alice")
        await alice.opened()
        await fleet.send("bob")
        await bob.close((await bob.opened()).id, "crashed")
        await fleet.keeper.round()
        clock.step_wall(step_s * 1000)
        await fleet.keeper.round()
        await fleet.keeper.do_what_is_due()
        assert await bob.open(wait_s=0) is None
        assert await fleet.state_of(held.id) == "in_turn"
        clock.advance(1_000)
        await fleet.keeper.do_what_is_due()
        assert await bob.open(wait_s=0) is not None


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
async def test_after_a_clock_was_set_the_broker_looks_around_as_often_as_before(
    home: Home, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, step_s: int
) -> None:
    """Ours: a clock that went back a day must not stop the alarms for a day."""
    rounds = 0
    real = wakeups.stalled

    def counted(tx: Tx) -> list[Row]:
        nonlocal rounds
        rounds += 1
        return real(tx)

    monkeypatch.setattr(wakeups, "stalled", counted)
    monkeypatch.setattr(timekeeper, "ROUND_S", 0.01)
    async with LocalBroker(home, clock=clock):
        clock.step_wall(step_s * 1000)

        def three_more_rounds() -> bool:
            clock.advance(10)
            return rounds >= before + 3

        before = rounds
        await until(three_more_rounds)


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
async def test_after_a_clock_was_set_every_alarm_gets_one_fresh_period(
    home: Home, clock: FakeClock, step_s: int
) -> None:
    """DESIGN 5.7: neither a false alarm because of the step, nor none for as long as it was."""
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        pushes = bob.client.pushes()
        await fleet.send("bob")
        await fleet.keeper.round()
        clock.step_wall(step_s * 1000)
        for after_ms, told in ((0, 0), (4_999, 0), (1, 1)):
            clock.advance(after_ms)
            await fleet.keeper.round()
            await settled(bob.client)
            assert pushes.statistics().current_buffer_used == told
        assert pushes.receive_nowait().event == "wake_stalled"
        pushes.close()


# ---- alarms


async def test_an_agent_with_mail_and_no_harness_is_deaf_after_60_s(home: Home, clock: FakeClock) -> None:
    """[P01] DESIGN 5.11: shown, and the operator is told once; it ends when a harness attaches."""
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob", backend="scripted", script="echo")
        await fleet.send("bob")
        await fleet.keeper.round()
        clock.advance(59_000)
        await fleet.keeper.round()
        assert (await fleet.agent("bob")).state == "away"
        clock.advance(1_000)
        await fleet.keeper.round()
        assert (await fleet.agent("bob")).state == "deaf"
        clock.advance(120_000)
        await fleet.keeper.round()
        (told,) = await operators_mail(fleet)
        assert "bob" in told
        await fleet.worker("bob")
        await fleet.keeper.round()
        assert (await fleet.agent("bob")).state == "idle"


async def test_an_agent_that_nobody_hosts_is_away_not_deaf(home: Home, clock: FakeClock) -> None:
    """DESIGN 5.11: agents without harness show `away`; nobody is alarmed."""
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        await fleet.send("bob")
        for _ in range(3):
            await fleet.keeper.round()
            clock.advance(60_000)
        assert (await fleet.agent("bob")).state == "away"
        assert await operators_mail(fleet) == []


# ---- the disk


def nearly_full(_: Path) -> SimpleNamespace:
    """Measure a disk that has a page or two left."""
    return SimpleNamespace(free=1024)


async def test_a_disk_that_is_nearly_full_admits_only_what_makes_room(
    home: Home, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 5.14: sends of agents get `full`, never a drop; acks and the operator use reserved headroom."""
    monkeypatch.setattr(timekeeper, "shutil", SimpleNamespace(disk_usage=nearly_full))
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("alice", "bob")
        alice, bob = await fleet.harness("alice", "bob")
        await fleet.keeper.round()
        with pytest.raises(Full, match="nothing was stored"):
            await alice.send("bob")
        sent = await fleet.send("bob")
        assert (await bob.close((await bob.opened()).id)).acked == [sent.id]
        monkeypatch.setattr(timekeeper, "shutil", shutil)
        await fleet.keeper.round()
        assert (await alice.send("bob")).state == "queued"


# ---- retention


async def test_what_ended_long_ago_is_deleted_in_the_course_of_an_hour(home: Home, clock: FakeClock) -> None:
    """DESIGN 5.19: not before, with the settings that are applied; the account still adds up."""
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        sent = await fleet.send("bob")
        await bob.close((await bob.opened()).id)
        for days in (29, 2):
            clock.advance(days * 24 * 3_600_000)
            before = (await fleet.status()).account
            assert await fleet.state_of(sent.id) == "handled"
            await fleet.keeper.round()
        with pytest.raises(Unknown):
            await fleet.explain(sent.id)
        assert (await fleet.status()).account == before
        assert (before.accepted, before.handled, before.lost) == (1, 1, 0)


async def test_retention_is_applied_without_a_restart(home: Home, clock: FakeClock) -> None:
    """[P09] DESIGN 5.19, 10: from the next sweep on, what the file says; a shorter time as well as a longer one."""
    home.create()
    config = home.root / "queenpost.toml"
    config.write_text("[retention]\nhandled_days = 60\n", encoding="utf-8")
    async with LocalBroker(home, clock=clock, config=config) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        sent = await fleet.send("bob")
        await bob.close((await bob.opened()).id)
        clock.advance(31 * 24 * 3_600_000)
        await fleet.keeper.round()
        assert await fleet.state_of(sent.id) == "handled"
        config.write_text("[retention]\nhandled_days = 7\n", encoding="utf-8")
        operator = await fleet.operator()
        applied = await operator.call(FleetApply(key=new_key()), FleetApplied)
        assert [(change.subject, change.detail) for change in applied.changes] == [("retention", "handled_days")]
        clock.advance(3_600_000)
        await fleet.keeper.round()
        with pytest.raises(Unknown):
            await fleet.explain(sent.id)
        assert (await fleet.status()).account.lost == 0


# ---- defects


def soon(_: int) -> int:
    """Back off for a moment only."""
    return 30


async def test_a_step_that_fails_does_not_stop_the_clock(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ours: a full disk for a moment must not end leases for ever."""
    tries = 0
    real = wakeups.run_due

    def sometimes(tx: Tx, heard_for_ms: int) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Full("no room for a moment")
        real(tx, heard_for_ms)

    monkeypatch.setattr(wakeups, "run_due", sometimes)
    monkeypatch.setattr(timekeeper, "ROUND_S", 0.01)
    monkeypatch.setattr(settling, "backoff_ms", soon)
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        await fleet.send("bob")
        await bob.close((await bob.opened()).id, "crashed")
        assert [mail.attempt for mail in (await bob.opened()).mail] == [2]
        assert tries > 1
    assert [record.getMessage() for record in caplog.records].count("timekeeper_failed") == 1


# ---- statistics


async def test_ended_turns_are_counted_once_a_minute(home: Home, clock: FakeClock) -> None:
    """[H37] Issue 4.8: behind the turns, by rounds; a row that cannot be written fails no turn."""
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")

        async def worked() -> None:
            await fleet.send("bob")
            assert (await bob.close((await bob.opened()).id)).acked

        def rows() -> int:
            return fleet.office.database.connection.execute("SELECT count(*) FROM turn_statistics").fetchone()[0]

        await fleet.keeper.round()
        await worked()
        await fleet.keeper.round()
        assert rows() == 0
        clock.advance(statistics.EVERY_MS)
        await fleet.keeper.round()
        assert rows() == 1
        await worked()
        clock.advance(statistics.EVERY_MS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(statistics, "harvest", _full)
            with pytest.raises(Full):
                await fleet.keeper.round()
        await worked()
        await fleet.keeper.round()
        assert rows() == 3


def _full(_tx: Tx) -> bool:
    raise Full("no space left")
