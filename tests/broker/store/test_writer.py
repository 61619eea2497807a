"""The writer thread: batches, order, the drain at its end, and its death."""

import logging
import sys
import threading
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from broker.store.database import Database
from broker.store.group import Group, Outcome
from broker.store.tx import Effects, Tx
from broker.store.writer import Writer
from tests.broker.store.letters import refused, send, spy, take
from wire.clock import FakeClock
from wire.errors import Conflict, QueenpostError, Unavailable

LATER = 2**60


def ignore(_: Any) -> None:
    """Be told something and do nothing."""


async def settle(writer: Writer) -> None:
    """Wait until everything that was submitted so far was delivered."""
    await writer.run(lambda tx: None)


def count(tx: Tx) -> int:
    """Count the letters."""
    return len(tx.all("letters.all"))


async def test_what_is_submitted_in_one_turn_of_the_loop_shares_a_commit(group: Group, statements: list[str]) -> None:
    """DESIGN 6: the writer drains its queue into one transaction [H13]."""
    calls: list[tuple[str, Outcome[int]]] = []
    async with Writer(group, ignore, ignore) as writer:
        for number in range(64):
            writer.submit(send("anna", str(number)), spy(calls, str(number)))
        await settle(writer)
    assert [(name, outcome.value) for name, outcome in calls] == [(str(n), n + 1) for n in range(64)]
    assert statements.count("COMMIT") == 1


async def test_effects_come_first_then_the_due_time_then_every_outcome(group: Group) -> None:
    """Ours: whoever is told an outcome finds the effects applied."""
    calls: list[tuple[str, Any]] = []
    async with Writer(group, spy(calls, "effects"), spy(calls, "due")) as writer:
        writer.submit(send("anna", "one"), spy(calls, "first"))
        writer.submit(send("bert", "two"), spy(calls, "second"))
        await settle(writer)
    assert [name for name, _ in calls] == ["effects", "due", "first", "second"]
    assert isinstance(calls[0][1], Effects)
    assert calls[0][1].woken == {"anna", "bert"}


async def test_what_nobody_waits_for_comes_last(group: Group) -> None:
    """Ours: the log of a batch is written when its answers are on their way, and before the writer is left."""
    calls: list[tuple[str, Any]] = []
    async with Writer(group, spy(calls, "effects"), ignore, lambda: None, spy(calls, "told")) as writer:
        writer.submit(send("anna", "one"), spy(calls, "first"))
        await settle(writer)
        writer.submit(send("anna", "two"), spy(calls, "second"))
    assert [name for name, _ in calls] == ["effects", "first", "told", "effects", "second", "told"]


async def test_callbacks_run_on_the_loop(group: Group) -> None:
    """Style 18: the thread touches nothing of the loop."""
    threads: set[int] = set()
    async with Writer(group, lambda _: threads.add(threading.get_ident()), ignore) as writer:
        writer.submit(send("anna", "one"), lambda _: threads.add(threading.get_ident()))
        await settle(writer)
    assert threads == {threading.get_ident()}


async def test_a_callback_that_raises_is_logged_and_stops_nothing(
    group: Group, caplog: pytest.LogCaptureFixture
) -> None:
    """Ours: one broken connection must not keep the others from their replies."""
    calls: list[tuple[str, Any]] = []

    def broken(_: Any) -> None:
        raise ZeroDivisionError

    async with Writer(group, broken, broken) as writer:
        writer.submit(send("anna", "one"), broken)
        writer.submit(send("anna", "two"), spy(calls, "second"))
        await settle(writer)
    assert [name for name, _ in calls] == ["second"]
    assert len([record for record in caplog.records if record.message == "callback_failed"]) >= 3


async def test_run_gives_the_value_or_raises_the_refusal(group: Group) -> None:
    """Ours."""
    async with Writer(group, ignore, ignore) as writer:
        assert await writer.run(send("anna", "one")) == 1
        with pytest.raises(Conflict):
            await writer.run(refused("anna", "two"))
        assert await writer.run(count) == 1


async def test_cancelling_the_wait_does_not_undo_the_commit(group: Group) -> None:
    """DESIGN 4: cancel after commit has no effect."""
    async with Writer(group, ignore, ignore) as writer:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await writer.run(send("anna", "one"))
        assert scope.cancelled_caught
        assert await writer.run(count) == 1


async def test_twenty_callers_lose_no_read_modify_write(group: Group) -> None:
    """Each reads and writes in one immediate transaction: 20 × 50 steps are 1,000 [X11]."""

    def step(tx: Tx) -> None:
        row = tx.one("letters.all")
        if row is None:
            tx.insert("letters.add", recipient="anna", body="1")
        else:
            tx.run("letters.rename", body=str(int(row["body"]) + 1))

    async def caller() -> None:
        for _ in range(50):
            await writer.run(step)

    async with Writer(group, ignore, ignore) as writer:
        async with anyio.create_task_group() as callers:
            for _ in range(20):
                callers.start_soon(caller)
        assert await writer.run(take("anna")) == "1000"


async def test_a_parked_ticket_is_settled_by_the_send_it_waits_for(group: Group) -> None:
    """DESIGN 5.2."""
    calls: list[tuple[str, Outcome[str | None]]] = []
    async with Writer(group, ignore, ignore) as writer:
        ticket = writer.park(take("anna"), "anna", LATER, spy(calls, "open"))
        await settle(writer)
        assert calls == []
        assert group.parked == {"anna": [ticket]}
        await writer.run(send("anna", "one"))
        assert calls == [("open", Outcome("one"))]


@pytest.mark.parametrize("turns", range(5))
async def test_a_withdrawal_racing_a_send_settles_once_and_loses_no_mail(group: Group, turns: int) -> None:
    """Ours: whoever comes first, the mail is either handed over or still there."""
    calls: list[tuple[str, Outcome[str | None]]] = []
    async with Writer(group, ignore, ignore) as writer:
        for number in range(40):
            ticket = writer.park(take("anna"), "anna", LATER, spy(calls, str(number)))
            writer.submit(send("anna", str(number)), ignore)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            writer.withdraw(ticket)
            writer.withdraw(ticket)
        left = await writer.run(count)
    assert [name for name, _ in calls] == [str(number) for number in range(40)]
    assert left + len([outcome for _, outcome in calls if outcome.value is not None]) == 40


async def test_the_exit_commits_what_was_submitted_and_ends_the_thread(group: Group, database: Database) -> None:
    """Ours: nothing that was accepted is dropped, and no thread is left behind."""
    calls: list[tuple[str, Outcome[int]]] = []
    async with Writer(group, ignore, ignore) as writer:
        for number in range(2000):
            writer.submit(send("anna", str(number)), spy(calls, "send"))
    assert [outcome.value for _, outcome in calls] == list(range(1, 2001))
    assert [thread.name for thread in threading.enumerate() if thread.name == "queenpost-writer"] == []
    assert not database.connection.in_transaction


async def test_the_exit_tells_those_who_wait_that_the_broker_stops(group: Group) -> None:
    """Ours: exactly one settlement ever, also for a ticket that is still parked."""
    calls: list[tuple[str, Outcome[str | None]]] = []
    async with Writer(group, ignore, ignore) as writer:
        ticket = writer.park(take("anna"), "anna", LATER, spy(calls, "open"))
        await settle(writer)
    assert [(name, type(outcome.error)) for name, outcome in calls] == [("open", Unavailable)]
    writer.withdraw(ticket)


async def test_a_cancelled_exit_still_drains(group: Group, database: Database) -> None:
    """Style 20: cleanup is shielded."""
    with anyio.CancelScope() as scope:
        async with Writer(group, ignore, ignore) as writer:
            writer.submit(send("anna", "one"), ignore)
            scope.cancel()
    assert len(database.connection.execute(database.queries["letters.all"]).fetchall()) == 1


async def test_after_the_exit_everything_is_refused(group: Group) -> None:
    """Ours: a late request gets an answer."""
    calls: list[tuple[str, Outcome[int]]] = []
    async with Writer(group, ignore, ignore) as writer:
        pass
    writer.submit(send("anna", "one"), spy(calls, "late"))
    with pytest.raises(Unavailable, match="stopping"):
        await writer.run(send("anna", "two"))
    assert [type(outcome.error) for _, outcome in calls] == [Unavailable]


async def test_the_death_of_the_thread_is_told_to_everybody(group: Group, caplog: pytest.LogCaptureFixture) -> None:
    """Ours: its batch, what was parked and what comes later get `unavailable`; the broker is told."""
    calls: list[tuple[str, Outcome[Any]]] = []
    broken = anyio.Event()

    def die(_: Tx) -> None:
        sys.exit("the thread is gone")

    async with Writer(group, ignore, ignore, broken.set) as writer:
        writer.park(take("bert"), "bert", LATER, spy(calls, "parked"))
        await settle(writer)
        writer.submit(send("anna", "one"), spy(calls, "before"))
        writer.submit(die, spy(calls, "killer"))
        writer.submit(send("anna", "two"), spy(calls, "after"))
        with anyio.fail_after(15):
            await broken.wait()
        with pytest.raises(Unavailable, match="restart the broker"):
            await writer.run(count)
    assert [name for name, _ in calls] == ["parked", "before", "killer", "after"]
    assert {type(outcome.error) for _, outcome in calls} == {Unavailable}
    assert "writer_died" in caplog.text


async def test_what_a_dead_thread_had_not_committed_is_not_stored(group: Group, database: Database) -> None:
    """Ours: `unavailable` was no lie."""

    def die(_: Tx) -> None:
        raise KeyboardInterrupt

    async with Writer(group, ignore, ignore) as writer:
        writer.submit(send("anna", "one"), ignore)
        with pytest.raises(QueenpostError):
            await writer.run(die)
    assert database.connection.execute(database.queries["letters.all"]).fetchall() == []


async def test_a_batch_is_bounded(group: Group, statements: list[str]) -> None:
    """Style 20: at most 512 jobs wait for one commit."""
    async with Writer(group, ignore, ignore) as writer:
        for _ in range(1025):
            writer.submit(send("anna", "x"), ignore)
    assert statements.count("COMMIT") == 3


async def test_time_out_of_a_ticket_needs_any_commit(group: Group, clock: FakeClock) -> None:
    """Ours: the due-timer of the broker makes one; `on_due` told it when."""
    calls: list[tuple[str, Any]] = []
    dues: list[int | None] = []
    until_ms = clock.now_ms() + 180_000
    async with Writer(group, ignore, dues.append) as writer:
        writer.park(take("anna"), "anna", until_ms, spy(calls, "open"))
        await settle(writer)
        assert until_ms in dues
        clock.advance(180_000)
        await settle(writer)
    assert calls == [("open", Outcome(None))]


async def test_a_writer_leaves_no_log_of_errors_behind(group: Group, caplog: pytest.LogCaptureFixture) -> None:
    """Ours: a plain life of it is silent."""
    async with Writer(group, ignore, ignore) as writer:
        await writer.run(send("anna", "one"))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
