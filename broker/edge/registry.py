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
from broker.services import agents, credentials, retention
from broker.services import apply as applying
from broker.services.callers import Caller
from broker.services.replies import once
from broker.store.tx import Tx
from wire import agents as wire
from wire.errors import Full, Invalid, QueenpostError, Unavailable
from wire.fleet import FleetApplied, FleetApply, Push
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
        await _take_over(office, [f"agent:{request.agent}"])
        hub.dismiss(office.keys.admits)
    return reply


async def token(office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: wire.AgentsToken) -> Result:
    """Say where a token lies; a missing file is made anew."""
    name = await office.writer.run(partial(_credential_of, agent=request.agent))
    async with office.registering:
        await renew_missing(office)
    return wire.AgentsTokenPath(agent=request.agent, path=str(credentials.path_of(office.home, name)))


def _credential_of(tx: Tx, agent: str) -> str:
    """Give the name of the credential of an agent, of the operator, or of the harness.

    Raises:
        Unknown: no such agent. Invalid: it was removed.
    """
    if agent in credentials.FLEET:
        return agent
    if agents.known(tx, agent)["state"] == "removed":
        raise Invalid(f"{agent} was removed; it has no token")
    return f"agent:{agent}"


async def rotate(office: Office, hub: Hub, line: Connection, caller: Caller, request: wire.AgentsRotate) -> Result:
    """Replace a token. The old one is void from the commit on, and what was done with it ends.

    Until then it stays good and in its file, whatever fails. Who works for the agent has to attach it again, with the
    new token; its turn goes back uncounted. Who asks is answered, and shown out behind that if its own token is void.
    """
    async with office.registering:
        name = await office.writer.run(partial(_credential_of, agent=request.agent))
        path = str(credentials.path_of(office.home, name))
        with _disk_may_refuse():
            made = credentials.draft(office.home, name)
        try:
            command = partial(_rotated, caller=caller, request=request, name=name, digest=made.digest, path=path)
            reply = await office.writer.run(command)
            if (await reload(office))[name] != made.digest:  # a retry of what was done before
                return reply
            try:
                with _disk_may_refuse():
                    credentials.publish(office.home, made)
            finally:
                _show_out(office, hub, line, request)
        finally:
            made.path.unlink(missing_ok=True)
    return reply


def _rotated(
    tx: Tx, *, caller: Caller, request: wire.AgentsRotate, name: str, digest: bytes, path: str
) -> wire.AgentsTokenPath:
    def command() -> wire.AgentsTokenPath:
        credentials.rotate(tx, caller, name, digest)
        row = None if name in credentials.FLEET else agents.known(tx, request.agent)
        if row is not None and row["instance"] is not None:
            agents.revoke(tx, row, "its token was rotated")
        return wire.AgentsTokenPath(agent=request.agent, path=path)

    return once(tx, caller, request, wire.AgentsTokenPath, command)


def _show_out(office: Office, hub: Hub, line: Connection, request: wire.AgentsRotate) -> None:
    hub.release(request.agent)
    hub.dismiss(office.keys.admits, spared=line)
    if not office.keys.admits(line.shown):
        line.close_behind(request.id)
    # Told last: whoever attaches the agent now finds the new token in the file, and the broker knows it.
    hub.announce(Push(event="agents_changed", agent=request.agent, data={"change": "token"}))


async def renew_missing(office: Office) -> None:
    """Make every token whose file is missing or does not match."""
    known = await office.writer.run(credentials.load)
    names = {*credentials.FLEET, *known}
    with _disk_may_refuse():
        credentials.sweep(office.home)
        renewed = credentials.renew_missing(office.home, sorted(names), known)
    if renewed:
        await office.writer.run(partial(credentials.store, digests=renewed))
    await reload(office)


async def reload(office: Office) -> Mapping[str, bytes]:
    """Take keys, roles, limits and retention over from the database into memory; gives the keys."""
    known = await office.writer.run(credentials.load)
    office.keys.reload(known, await office.writer.run(credentials.load_pins))
    rows = await office.writer.run(lambda tx: tx.all("agents.summaries", removed=0, name=None, day=None))
    office.roles = {row["name"]: cast("Role", row["role"]) for row in rows}
    office.rules = replace(
        office.rules,
        limits=await office.writer.run(_limits),
        retention=await office.writer.run(retention.applied),
    )
    return known


def _limits(tx: Tx) -> Limits:
    row = tx.one("fleet.tables")
    try:
        return Limits.model_validate_json(row["limits"]) if row else Limits()
    except ValueError:
        tx.log("limits_unreadable")  # until they are applied again, the defaults hold
        return Limits()


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


async def apply(office: Office, hub: Hub, _line: Connection, caller: Caller, request: FleetApply) -> Result:
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
    hub.dismiss(office.keys.admits)  # of a user who is not the agent's any more
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
