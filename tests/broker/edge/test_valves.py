"""Freeze, thaw and backup over the link: the file, the database, and what goes on meanwhile."""

import errno
import os
import shutil
import stat
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import anyio
import pytest

from broker.store import backup as backup_module
from broker.store.backup import Stopped, connect_read_only
from tests.fakes.broker import LocalBroker
from tests.scenarios.fleet import settled, until
from wire.client import new_key
from wire.clock import FakeClock
from wire.errors import Closed, Conflict, Denied, Full, Invalid, Unavailable, Unknown
from wire.fleet import Push
from wire.freeze_file import change_frozen, read_frozen
from wire.home import Home
from wire.office import FleetBackedUp, FleetBackup, FleetFreeze, FleetFrozen, FleetThaw

pytestmark = pytest.mark.anyio


async def freeze(fleet: LocalBroker, *names: str, key: str | None = None) -> FleetFrozen:
    """Freeze as the operator."""
    operator = await fleet.operator()
    return await operator.call(FleetFreeze(agents=list(names), key=key or new_key()), FleetFrozen)


async def thaw(fleet: LocalBroker, *names: str) -> FleetFrozen:
    """Thaw as the operator."""
    return await (await fleet.operator()).call(FleetThaw(agents=list(names), key=new_key()), FleetFrozen)


async def back_up(fleet: LocalBroker, path: Path | str | None = None, key: str | None = None) -> FleetBackedUp:
    """Ask for a backup as the operator."""
    request = FleetBackup(path=None if path is None else str(path), key=key or new_key())
    return await (await fleet.operator()).call(request, FleetBackedUp)


def rows(path: Path, sql: str) -> Sequence[Any]:
    """Read from a copy."""
    with closing(connect_read_only(path)) as connection:
        return connection.execute(sql).fetchall()


# ---- freeze and thaw


async def test_a_freeze_stands_in_the_file_and_in_status(home: Home) -> None:
    """DESIGN 5.18, 10: for a console that has no file of the home too."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        assert await freeze(fleet, "bob") == FleetFrozen(everybody=False, agents=["bob"], changed=["bob"])
        assert read_frozen(home.frozen).agents == {"bob"}
        assert ((await fleet.agent("bob")).state, (await fleet.agent("alice")).state) == ("frozen", "away")
        assert not (await fleet.status()).frozen
        assert (await freeze(fleet)).changed == ["alice"]
        assert (await fleet.status()).frozen
        assert (await thaw(fleet)).changed == ["alice", "bob"]
        assert not home.frozen.exists()
        assert (await fleet.agent("bob")).state == "away"


async def test_the_holder_hears_of_it_at_once(home: Home) -> None:
    """DESIGN 5.18: the push names the turn; the instance stays attached and gets the mail behind the thaw."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        sent = await fleet.send("bob")
        turn = await bob.opened()
        with bob.client.pushes() as pushes:
            await freeze(fleet)
            with anyio.fail_after(10):
                assert await pushes.receive() == Push(
                    event="turn_revoked",
                    agent="bob",
                    data={"instance": bob.instance, "epoch": bob.epoch, "turn": turn.id, "frozen": True},
                )
        with pytest.raises(Denied, match="frozen by the operator"):
            await bob.send("operator")
        await bob.close(turn.id, "stopped")
        opened: list[str] = []
        async with anyio.create_task_group() as group:

            async def park() -> None:
                opened.extend(f"{mail.id} {mail.attempt}" for mail in (await bob.opened()).mail)

            group.start_soon(park)
            await settled(bob.client)
            assert opened == []
            await thaw(fleet)
        assert opened == [f"{sent.id} 2"]


async def test_an_unknown_name_changes_nothing(home: Home) -> None:
    """Bad input: neither the file nor an agent that was named beside it."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        with pytest.raises(Unknown, match="no agent 'nobody'"):
            await freeze(fleet, "bob", "nobody")
        assert not home.frozen.exists()
        assert (await fleet.agent("bob")).state == "away"
        await freeze(fleet)
        with pytest.raises(Conflict, match="everybody is frozen"):
            await thaw(fleet, "bob")


async def test_a_repeated_freeze_does_not_undo_a_thaw(home: Home) -> None:
    """DESIGN 4: the same key gets the same answer again, and does nothing."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        first = await freeze(fleet, "bob", key="k")
        await thaw(fleet)
        assert await freeze(fleet, "bob", key="k") == first
        assert not home.frozen.exists()
        assert (await fleet.agent("bob")).state == "away"


async def test_the_file_holds_whoever_wrote_it(home: Home) -> None:
    """DESIGN 5.18: written while the broker looked away, or was not there; and when it is gone again."""
    async with LocalBroker(home, clock=FakeClock()) as fleet:
        await fleet.add("alice", "bob")
        change_frozen(home.frozen, lambda now: now.and_also(["bob"]))
        await fleet.keeper.round()
        assert (await fleet.agent("bob")).state == "frozen"
        change_frozen(home.frozen, lambda now: now.without([]))
        await fleet.keeper.round()
        assert (await fleet.agent("bob")).state == "away"
    change_frozen(home.frozen, lambda now: now.and_also(["alice"]))
    async with LocalBroker(home) as fleet:
        assert (await fleet.agent("alice")).state == "frozen"


async def test_a_damaged_file_freezes_everybody_with_a_warning(home: Home) -> None:
    """Ours: it fails safe, says so in status, and a thaw mends it."""
    async with LocalBroker(home, clock=FakeClock()) as fleet:
        await fleet.add("bob")
        home.frozen.write_text("{")
        for _ in range(2):
            await fleet.keeper.round()
        status = await fleet.status()
        assert status.frozen
        (warning,) = [warning for warning in status.warnings if "frozen" in warning]
        assert "`queenpost thaw`" in warning
        await thaw(fleet)
        await fleet.keeper.round()
        status = await fleet.status()
        assert (status.frozen, [w for w in status.warnings if "frozen" in w]) == (False, [])


async def test_a_freeze_that_cannot_be_written_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: else the next round would undo it."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        monkeypatch.setattr("wire.freeze_file.write_secret", full)
        with pytest.raises(Full):
            await freeze(fleet, "bob")
        assert (await fleet.agent("bob")).state == "away"


async def test_only_the_operator_freezes(home: Home) -> None:
    """Misuse."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        for as_ in ("bob", None):
            with pytest.raises(Denied):
                await bob.client.call(FleetFreeze(key=new_key()), FleetFrozen, as_=as_)
        assert not home.frozen.exists()


# ---- backup


async def test_a_backup_goes_into_the_home_or_where_it_is_told(home: Home, tmp_path: Path) -> None:
    """[P09] DESIGN 6: whole, private, written down; secrets are not in it."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        await fleet.send("bob", "kept")
        inside, outside = await back_up(fleet), await back_up(fleet, tmp_path / "copy.db")
        for made in (inside, outside):
            path = Path(made.path)
            assert (path.stat().st_size, stat.S_IMODE(path.stat().st_mode)) == (made.bytes, 0o600)
            assert [row[0] for row in rows(path, "SELECT body FROM messages")] == ["kept"]
            token = fleet.token(home.agent_secret("bob")).encode()
            assert token not in path.read_bytes()
        assert Path(inside.path).parent == home.backups
        audited = await fleet.office.writer.run(lambda tx: tx.all("audit.of", subject="fleet"))
        assert [row["action"] for row in audited] == ["fleet.backed_up", "fleet.backed_up"]


async def test_a_repeated_backup_is_the_first_one(home: Home) -> None:
    """DESIGN 4: by key; a new one is a new file."""
    async with LocalBroker(home) as fleet:
        first = await back_up(fleet, key="k")
        assert await back_up(fleet, key="k") == first
        assert (await back_up(fleet)).path != first.path
        assert len(list(home.backups.iterdir())) == 2


async def test_where_no_backup_can_go(home: Home, tmp_path: Path) -> None:
    """Bad input: each with what to do, and nothing is written."""
    async with LocalBroker(home) as fleet:
        there = tmp_path / "there.db"
        there.write_text("yesterday's")
        dangling = tmp_path / "dangling"
        dangling.symlink_to(tmp_path / "elsewhere")
        for path, error, words in (
            ("copy.db", Invalid, "no absolute path"),
            (tmp_path / "missing" / "copy.db", Invalid, "make it first"),
            (there, Conflict, "name another file"),
            (dangling, Conflict, "name another file"),
            (home.root / "broker.db-wal", Invalid, "the database's own"),
            (home.root / "run" / ".." / "broker.db-journal", Invalid, "the database's own"),
            (tmp_path, Conflict, "name another file"),
            (f"{tmp_path}/\0", Invalid, "no absolute path"),
            (tmp_path / ("x" * 300), Unavailable, "name a folder that you can write to"),
        ):
            with pytest.raises(error, match=words):
                await back_up(fleet, path)
        assert there.read_text() == "yesterday's"
        assert sorted(file.name for file in tmp_path.iterdir()) == ["dangling", "there.db"]


async def test_without_space_nothing_is_left_behind(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: neither half a copy, nor a fleet that has no room to work in."""
    async with LocalBroker(home) as fleet:
        usage = shutil.disk_usage(home.root)
        few = usage._replace(free=fleet.office.rules.limits.disk_headroom_bytes)
        monkeypatch.setattr(shutil, "disk_usage", Mock(return_value=few))
        with pytest.raises(Full, match="name a folder on another disk"):
            await back_up(fleet)
        monkeypatch.setattr(shutil, "disk_usage", Mock(return_value=usage))
        monkeypatch.setattr(backup_module, "_sync_file", Mock(side_effect=OSError(errno.ENOSPC, "no space")))
        with pytest.raises(Full, match="nothing was left behind"):
            await back_up(fleet)
        assert list(home.backups.iterdir()) == []
        monkeypatch.undo()
        await back_up(fleet)


async def test_sends_go_on_while_a_copy_is_made(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 6: neither the writer nor the loop waits for it; the copy is of one moment, the one it began at."""
    began, go_on = threading.Event(), threading.Event()
    real = backup_module.copy

    def slow(*args: Any) -> None:
        began.set()
        assert go_on.wait(30)
        real(*args)

    monkeypatch.setattr(backup_module, "copy", slow)
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        await fleet.send("bob", "before")
        made: list[FleetBackedUp] = []

        async def make() -> None:
            made.append(await back_up(fleet))

        async with anyio.create_task_group() as group:
            group.start_soon(make)
            await until(began.is_set)
            await fleet.send("bob", "meanwhile")
            go_on.set()
        assert [row[0] for row in rows(Path(made[0].path), "SELECT body FROM messages")] == ["before"]


async def test_a_broker_that_stops_gives_the_copy_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: it does not wait for it, and nothing is left of it."""
    began, stopped = threading.Event(), threading.Event()
    real = backup_module._fill  # pyright: ignore[reportPrivateUsage]  # the place in which it takes long

    def endless(*args: Any) -> None:
        began.set()
        while not args[3]():
            stopped.wait(0.01)
        try:
            real(*args)
        except Stopped:
            stopped.set()
            raise

    monkeypatch.setattr(backup_module, "_fill", endless)
    async with LocalBroker(home) as fleet, anyio.create_task_group() as group:

        async def make() -> None:
            async with fleet.client(home.operator_secret, reconnect=False) as operator:
                with pytest.raises((Unavailable, Closed)):
                    await operator.call(FleetBackup(key=new_key()), FleetBackedUp)

        group.start_soon(make)
        await until(began.is_set)
        fleet.stop()
    await until(stopped.is_set)
    await until(lambda: list(home.backups.iterdir()) == [])
