"""A backup of a fleet that works, put back: of one moment, equal, and nobody waits for who was there then."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from broker.store.backup import connect_read_only
from broker.store.restore import restore
from tests.fakes.broker import BrokerProcess, short_home
from wire.client import new_key
from wire.clock import SystemClock
from wire.errors import Stale, Unknown
from wire.home import Home
from wire.office import FleetBackedUp, FleetBackup
from wire.turns import TurnsOpened, TurnsResume

pytestmark = pytest.mark.anyio

SENDERS = 4
HOLDER = {"instance", "lost_at"}
"""Columns that say who works for an agent: of those who did then, nobody is left."""


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


async def back_up(fleet: BrokerProcess) -> Path:
    """Make a backup in the home."""
    operator = await fleet.operator()
    return Path((await operator.call(FleetBackup(key=new_key()), FleetBackedUp)).path)


async def put_back(fleet: BrokerProcess, copy: Path) -> None:
    """Restore a backup, and start on it."""
    await fleet.terminate()
    restore(fleet.home.database, copy, SystemClock())
    await fleet.start()


def everything(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read all rows of all tables, without who works for an agent."""
    with closing(connect_read_only(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL")
        tables = [row["name"] for row in names]
        return {
            table: [
                {column: row[column] for column in row.keys() if column not in HOLDER}  # noqa: SIM118  # a sqlite3.Row
                for row in connection.execute(f"SELECT * FROM {table}")  # noqa: S608
            ]
            for table in tables
        }


async def test_a_backup_of_a_busy_fleet_is_of_one_moment_and_comes_back_equal(home: Home, tmp_path: Path) -> None:
    """[P09] DESIGN 6: all that was answered before it, no hole and no half of a command; a new home has it all."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob", "carol")
        before = [await fleet.send("bob", f"early {number}") for number in range(20)]
        done, first = anyio.Event(), anyio.Event()
        copies: list[Path] = []

        async def busy(name: str) -> None:
            number = 0
            while not done.is_set():
                await fleet.send("*", f"{name} {number}")
                number += 1
                first.set()

        async with anyio.create_task_group() as group:
            for number in range(SENDERS):
                group.start_soon(busy, f"sender {number}")
            await first.wait()
            for _ in range(3):
                copies.append(await back_up(fleet))
            done.set()
        for copy in copies:
            rows = everything(copy)
            numbers = [row["id"] for row in rows["messages"]]
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) > len(before)
            assert len(rows["deliveries"]) == len(before) + 2 * (len(numbers) - len(before))
    other = Home(tmp_path / "other")
    other.create()
    restore(other.database, copies[-1], SystemClock())
    assert everything(other.database) == everything(copies[-1])


async def test_who_comes_behind_a_restore_waits_for_nobody(home: Home) -> None:
    """[P09] DESIGN 5.7: who worked when the backup was made is gone; what it had open goes back, and is handled."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob", reconnect=False)
        sent = await fleet.send("bob")
        await bob.opened()
        copy = await back_up(fleet)
        await put_back(fleet, copy)
        assert not (await fleet.agent("bob")).attached
        next_bob = await fleet.worker("bob")
        assert next_bob.epoch == bob.epoch + 1
        turn = await next_bob.opened()
        assert [(mail.id, mail.attempt) for mail in turn.mail] == [(sent.id, 2)]
        assert (await next_bob.close(turn.id)).acked == [sent.id]
        account = (await fleet.status()).account
        assert (account.accepted, account.handled, account.lost) == (1, 1, 0)


async def test_who_lived_through_a_restore_is_fenced_from_what_it_had_open(home: Home) -> None:
    """[P14] [P09] DESIGN 5.7: ids are given again, so its turn is no turn of now, even if there is one of that name."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        epoch = bob.epoch
        sent = await fleet.send("bob")
        open_then = await bob.opened()
        copy = await back_up(fleet)
        assert (await bob.close(open_then.id)).acked == [sent.id]
        later = await fleet.send("bob", "of a time that is undone")
        undone = await bob.opened()
        await put_back(fleet, copy)
        for turn in (open_then, undone):
            with pytest.raises((Stale, Unknown)):
                await bob.client.call(TurnsResume(turn=turn.id), TurnsOpened, as_="bob")
        assert bob.epoch == epoch + 1
        now = await fleet.send("bob", "of now")
        assert now.id == later.id
        again = await bob.opened()
        assert [(mail.id, mail.body, mail.attempt) for mail in again.mail] == [
            (sent.id, "hello", 2),
            (now.id, "of now", 1),
        ]
