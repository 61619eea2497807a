"""Errands of the registry: what also touches token files, the settings file, or the keys in memory."""

from functools import partial
from typing import cast

from broker.edge.connection import Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.services import agents, credentials
from broker.services import apply as applying
from broker.services.callers import Caller, Rules
from broker.services.replies import once
from broker.store.tx import Tx
from wire import agents as wire
from wire.errors import Invalid, QueenpostError
from wire.fleet import Change, FleetApplied, FleetApply
from wire.model import Result
from wire.settings import Role, Settings
from wire.settings_file import read_settings


async def add(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: wire.AgentsAdd) -> Result:
    """Register an agent: its token file is on disk before the database knows its digest."""
    agents.require_name(request.agent, request.settings.role)
    name = f"agent:{request.agent}"
    known = await office.writer.run(credentials.load)
    path = str(office.home.agent_secret(request.agent))
    # A retry finds the token of the first try and must not replace it.
    digest = known[name] if name in known else credentials.make(office.home, name)

    def command(tx: Tx) -> wire.AgentsAdded:
        return once(tx, caller, request, wire.AgentsAdded, lambda: _added(tx, caller, request, digest, path))

    reply = await office.writer.run(command)
    await reload(office)
    return reply


def _added(tx: Tx, caller: Caller, request: wire.AgentsAdd, digest: bytes, path: str) -> wire.AgentsAdded:
    agents.add(tx, caller, request, digest)
    return wire.AgentsAdded(agent=request.agent, token_path=path)


async def remove(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: wire.AgentsRemove) -> Result:
    """Take an agent out; its token is void from the commit on, its file is deleted."""

    def command(tx: Tx) -> wire.AgentsChanged:
        return once(tx, caller, request, wire.AgentsChanged, lambda: agents.remove(tx, caller, request))

    reply = await office.writer.run(command)
    await reload(office)
    if f"agent:{request.agent}" not in await office.writer.run(credentials.load):
        office.home.agent_secret(request.agent).unlink(missing_ok=True)
    return reply


async def token(office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: wire.AgentsToken) -> Result:
    """Say where a token lies; a missing file is made anew."""
    row = await office.writer.run(lambda tx: agents.known(tx, request.agent))
    if row["state"] == "removed":
        raise Invalid(f"{request.agent} was removed; it has no token")
    await renew_missing(office)
    return wire.AgentsTokenPath(agent=request.agent, path=str(office.home.agent_secret(request.agent)))


async def renew_missing(office: Office) -> None:
    """Make every token whose file is missing or does not match."""
    known = await office.writer.run(credentials.load)
    names = {"operator", "harness", *known}
    renewed = credentials.renew_missing(office.home, sorted(names), known)
    if renewed:
        await office.writer.run(partial(credentials.store, digests=renewed))
    await reload(office)


async def reload(office: Office) -> None:
    """Take keys and roles over from the database into memory."""
    office.keys.reload(await office.writer.run(credentials.load))
    rows = await office.writer.run(lambda tx: tx.all("agents.summaries", removed=0, name=None))
    office.roles = {row["name"]: cast("Role", row["role"]) for row in rows}


class _DryRun(QueenpostError):
    """Takes the changes out of a transaction that is rolled back."""

    def __init__(self, changes: list[Change]) -> None:
        super().__init__("dry run")
        self.changes = changes


async def apply(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: FleetApply) -> Result:
    """Make the settings file true; an invalid file leaves the fleet as it was."""
    if office.config is None:
        raise Invalid("this fleet has no queenpost.toml; `queenpost init` writes one")
    settings = read_settings(office.config, home=office.home.root)
    changes = await apply_settings(office, caller, settings, dry_run=request.dry_run)
    return FleetApplied(path=str(office.config), changes=changes)


async def apply_settings(office: Office, caller: Caller, settings: Settings, *, dry_run: bool) -> list[Change]:
    """Apply settings in one transaction, with tokens for agents that have none."""
    known = await office.writer.run(credentials.load)
    missing = [f"agent:{name}" for name in settings.agents if f"agent:{name}" not in known]
    made = {} if dry_run else {name: credentials.make(office.home, name) for name in missing}
    tokens = {name.removeprefix("agent:"): digest for name, digest in made.items()}

    def command(tx: Tx) -> list[Change]:
        changes = applying.apply(tx, caller, settings, tokens)
        if dry_run:
            raise _DryRun(changes)
        return changes

    try:
        changes = await office.writer.run(command)
    except _DryRun as exc:
        return exc.changes
    office.rules = Rules(settings.limits, office.rules.disk_free_bytes)
    await reload(office)
    return changes
