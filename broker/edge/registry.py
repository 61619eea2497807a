"""Errands of the registry: what also touches token files, the settings file, or the keys in memory."""

import errno
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

from broker.edge.connection import Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.services import agents, credentials
from broker.services import apply as applying
from broker.services.callers import Caller
from broker.services.replies import once
from broker.store.tx import Tx
from wire import agents as wire
from wire.errors import Full, Invalid, QueenpostError, Unavailable
from wire.fleet import FleetApplied, FleetApply
from wire.model import Result
from wire.settings import Limits, Role, Settings
from wire.settings_file import read_settings

T = TypeVar("T")


async def add(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: wire.AgentsAdd) -> Result:
    """Register an agent: its token file is on disk before the database knows its digest."""
    agents.require_name(request.agent, request.settings.role)
    name = f"agent:{request.agent}"
    path = str(office.home.agent_secret(request.agent))
    async with office.registering:
        known = await office.writer.run(credentials.load)
        # A retry finds the token of the first try and must not replace it.
        try:
            made = _make(office, [] if name in known else [name])
            digest = {**known, **made}[name]

            def command(tx: Tx) -> wire.AgentsAdded:
                return once(tx, caller, request, wire.AgentsAdded, lambda: _added(tx, caller, request, digest, path))

            return await office.writer.run(command)
        finally:
            await _take_over(office, [name])


def _added(tx: Tx, caller: Caller, request: wire.AgentsAdd, digest: bytes, path: str) -> wire.AgentsAdded:
    agents.add(tx, caller, request, digest)
    return wire.AgentsAdded(agent=request.agent, token_path=path)


async def remove(office: Office, hub: Hub, _line: Connection, caller: Caller, request: wire.AgentsRemove) -> Result:
    """Take an agent out; its token is void from the commit on, its file is deleted, its own connections end."""

    def command(tx: Tx) -> wire.AgentsChanged:
        return once(tx, caller, request, wire.AgentsChanged, lambda: agents.remove(tx, caller, request))

    async with office.registering:
        reply = await office.writer.run(command)
        name = f"agent:{request.agent}"
        if name not in await _take_over(office, [name]):
            hub.dismiss(request.agent)
    return reply


async def token(office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: wire.AgentsToken) -> Result:
    """Say where a token lies; a missing file is made anew."""
    row = await office.writer.run(lambda tx: agents.known(tx, request.agent))
    if row["state"] == "removed":
        raise Invalid(f"{request.agent} was removed; it has no token")
    async with office.registering:
        await renew_missing(office)
    return wire.AgentsTokenPath(agent=request.agent, path=str(office.home.agent_secret(request.agent)))


async def renew_missing(office: Office) -> None:
    """Make every token whose file is missing or does not match."""
    known = await office.writer.run(credentials.load)
    names = {"operator", "harness", *known}
    with _disk_may_refuse():
        renewed = credentials.renew_missing(office.home, sorted(names), known)
    if renewed:
        await office.writer.run(partial(credentials.store, digests=renewed))
    await reload(office)


async def reload(office: Office) -> Mapping[str, bytes]:
    """Take keys, roles and limits over from the database into memory; gives the keys."""
    known = await office.writer.run(credentials.load)
    office.keys.reload(known)
    rows = await office.writer.run(lambda tx: tx.all("agents.summaries", removed=0, name=None))
    office.roles = {row["name"]: cast("Role", row["role"]) for row in rows}
    office.rules = replace(office.rules, limits=await office.writer.run(_limits))
    return known


def _limits(tx: Tx) -> Limits:
    row = tx.one("fleet.limits")
    return Limits.model_validate_json(row["limits"]) if row else Limits()


def _make(office: Office, names: Iterable[str]) -> dict[str, bytes]:
    with _disk_may_refuse():
        return {name: credentials.make(office.home, name) for name in names}


async def _take_over(office: Office, touched: Iterable[str]) -> Mapping[str, bytes]:
    """Bring memory and files in step with what was committed: a token that the database does not know goes."""
    known = await reload(office)
    for name in touched:
        if name not in known:
            credentials.path_of(office.home, name).unlink(missing_ok=True)
    return known


@contextmanager
def _disk_may_refuse() -> Generator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Full("the disk is full, so no token can be written: free some space, then try again") from exc
        raise Unavailable(f"cannot write the token files ({exc.strerror}): check the home's disk and modes") from exc


class _DryRun(QueenpostError):
    """Takes the result out of a transaction that is rolled back."""

    def __init__(self, result: FleetApplied) -> None:
        super().__init__("dry run")
        self.result = result


async def apply(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: FleetApply) -> Result:
    """Make the settings file true; an invalid file leaves the fleet as it was."""
    if office.config is None:
        raise Invalid("this fleet has no queenpost.toml; `queenpost init` writes one")
    path = str(office.config)
    settings = read_settings(office.config, home=office.home.root)

    def command(tx: Tx, tokens: dict[str, bytes]) -> FleetApplied:
        return FleetApplied(path=path, changes=applying.apply(tx, caller, settings, tokens))

    def repeatable(tx: Tx, tokens: dict[str, bytes]) -> FleetApplied:
        if request.dry_run:
            raise _DryRun(command(tx, tokens))
        return once(tx, caller, request, FleetApplied, lambda: command(tx, tokens))

    try:
        applied = await _with_tokens(office, settings, repeatable, write=not request.dry_run)
    except _DryRun as exc:
        return exc.result
    _name(office, settings)
    return applied


async def apply_at_start(office: Office, settings: Settings) -> None:
    """Make the settings true before anybody is let in."""
    caller = Caller("operator", "operator")
    await _with_tokens(office, settings, lambda tx, tokens: applying.apply(tx, caller, settings, tokens), write=True)
    _name(office, settings)


def _name(office: Office, settings: Settings) -> None:
    office.fleet = settings.fleet.name or office.home.fleet_name


async def _with_tokens(
    office: Office, settings: Settings, command: Callable[[Tx, dict[str, bytes]], T], *, write: bool
) -> T:
    """Run a command that applies settings in one transaction, given the tokens of agents that had none."""
    async with office.registering:
        known = await office.writer.run(credentials.load)
        missing = [f"agent:{name}" for name in settings.agents if f"agent:{name}" not in known]
        try:
            made = _make(office, missing if write else [])
            tokens = {name.removeprefix("agent:"): digest for name, digest in made.items()}
            return await office.writer.run(lambda tx: command(tx, tokens))
        finally:
            await _take_over(office, missing)
