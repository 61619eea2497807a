"""Errands of the operator's safety valves: freeze and thaw, which also write a file; backup, which writes one.

Who is frozen stands in the home's `run/frozen`; the database follows it (`broker.services.freezing`).
"""

import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio.to_thread

from broker.edge.connection import Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.services import audit, freezing
from broker.services.callers import OPERATOR, Caller
from broker.services.replies import earlier, once
from broker.store.backup import back_up
from broker.store.tx import Tx
from wire.errors import Full, Invalid, Unavailable
from wire.freeze_file import Frozen, change_frozen, read_frozen
from wire.logs import get_logger
from wire.model import Result
from wire.office import FleetBackedUp, FleetBackup, FleetFreeze, FleetFrozen, FleetThaw

log = get_logger("broker")


async def freeze(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: FleetFreeze) -> Result:
    """Stop agents at once."""
    return await _change(office, caller, request, lambda now: now.and_also(request.agents))


async def thaw(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: FleetThaw) -> Result:
    """End a freeze."""
    return await _change(office, caller, request, lambda now: now.without(request.agents))


async def _change(
    office: Office, caller: Caller, request: FleetFreeze | FleetThaw, change: Callable[[Frozen], Frozen]
) -> FleetFrozen:
    """Write the file, then make the database follow it; should we end in between, the next start does.

    Raises:
        Unknown: a name is no agent's; nothing was changed. Conflict: see `Frozen.without`.
    """

    def look(tx: Tx) -> FleetFrozen | None:
        told = earlier(tx, caller, request, FleetFrozen)
        if told is None:
            freezing.require_known(tx, request.agents, removed=isinstance(request, FleetThaw))
        return told

    async with office.freezing:
        if (told := await office.writer.run(look)) is not None:
            return told
        _, frozen = await anyio.to_thread.run_sync(change_frozen, office.home.frozen, change)
        follow = partial(_follow, caller=caller, frozen=frozen)
        return await office.writer.run(lambda tx: once(tx, caller, request, FleetFrozen, lambda: follow(tx)))


def _follow(tx: Tx, caller: Caller, frozen: Frozen) -> FleetFrozen:
    return freezing.follow(tx, caller, frozen.everybody, frozen.agents)


async def follow_file(office: Office) -> None:
    """Make the database say who is frozen as the file does, which anybody with the home may have written."""
    async with office.freezing:
        frozen = await anyio.to_thread.run_sync(read_frozen, office.home.frozen)
        _tell_of_damage(office, frozen)
        await office.writer.run(partial(_follow, caller=Caller("operator", OPERATOR), frozen=frozen))


def _tell_of_damage(office: Office, frozen: Frozen) -> None:
    """Show in status that everybody is frozen by a file that nobody can read, and log it once."""
    told = [warning for warning in office.warnings if warning.startswith(str(office.home.frozen))]
    wanted = f"{frozen.damage}: everybody is frozen; `queenpost thaw` makes it anew" if frozen.damage else None
    if wanted in told:
        return
    for warning in told:
        office.warnings.remove(warning)
    if wanted is not None:
        log.error("freeze_file_damaged", reason=frozen.damage)
        office.warnings.append(wanted)


async def backup(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: FleetBackup) -> Result:
    """Copy the database while everything goes on: checked, private and durable once this is answered.

    Raises:
        Invalid: the path. Conflict: it is there already. Full, Unavailable: nothing was left behind.
    """
    async with office.backing_up:
        told = await office.writer.run(lambda tx: earlier(tx, caller, request, FleetBackedUp))
        if told is not None:
            return told
        target = _target(office, request.path)
        _require_room(office, target)
        await _copy(office, target)
        made = FleetBackedUp(path=str(target), bytes=target.stat().st_size)

        def write_down(tx: Tx) -> FleetBackedUp:
            audit.write(tx, caller, "fleet.backed_up", "fleet", path=made.path, bytes=made.bytes)
            return made

        return await office.writer.run(lambda tx: once(tx, caller, request, FleetBackedUp, lambda: write_down(tx)))


def _target(office: Office, path: str | None) -> Path:
    if path is None:
        instant = datetime.fromtimestamp(office.clock.wall_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return office.home.backups / f"queenpost-{instant}.db"
    target = Path(path)
    if not target.is_absolute() or "\0" in path:
        raise Invalid(f"{path!r} is no absolute path: the broker works in another folder than you")
    if not target.parent.is_dir():
        raise Invalid(f"there is no folder {target.parent} where the broker runs; make it first")
    if target.name.startswith(office.home.database.name) and target.parent.resolve() == office.home.root.resolve():
        raise Invalid(f"{target} is a name of the database's own; name another file, in {office.home.backups} say")
    return target


def _require_room(office: Office, target: Path) -> None:
    """Refuse a copy that would leave the fleet no room to work in."""
    try:
        same = target.parent.stat().st_dev == office.home.root.stat().st_dev
        free = shutil.disk_usage(target.parent).free
        needed = office.home.database.stat().st_size + office.database.wal_bytes()
    except OSError as exc:
        raise Unavailable(f"cannot look at {target.parent}: {exc.strerror}; check its disk") from exc
    if free < needed + (office.rules.limits.disk_headroom_bytes if same else 0):
        raise Full(f"no space for {target}: it takes {needed} bytes, {free} are free; name a folder on another disk")


async def _copy(office: Office, target: Path) -> None:
    """Run the copy on a thread; should the broker end meanwhile, it gives up and leaves nothing."""
    given_up = threading.Event()
    work = partial(back_up, office.home.database, target, office.database.queries, given_up.is_set)
    try:
        await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    finally:
        given_up.set()
