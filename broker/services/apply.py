"""Making `queenpost.toml` true: agents of the file are added, changed, revived or stopped, in one transaction."""

import json

from broker.services import agents, audit, budgets
from broker.services.accounts import applied_accounts
from broker.services.callers import Caller
from broker.store.tx import Row, Tx
from wire.errors import Conflict
from wire.fleet import Change
from wire.settings import DEFAULT_ACCOUNT, AgentSettings, Settings


def apply(tx: Tx, caller: Caller, settings: Settings, tokens: dict[str, bytes]) -> list[Change]:
    """Apply the file; running turns go on. An agent that left the file is stopped, its mail kept. Idempotent.

    `tokens`: the SHA-256 of the token of each agent that has none yet.

    Raises:
        Conflict: the database owns an agent of the same name, or there would be two managers.
    """
    former = {row["name"]: row for row in tx.all("agents.of_file")}
    changes = [_stop(tx, name) for name, row in former.items() if _left(name, row, settings)]
    managers_last = sorted(settings.agents.items(), key=lambda item: item[1].role == "manager")
    for name, agent in managers_last:
        change = _put(tx, name, agent, former.get(name))
        if change is not None:
            changes.append(change)
    for name, digest in tokens.items():
        tx.run("credentials.put", name=f"agent:{name}", sha256=digest, now=tx.now_ms)
    changes += _table(tx, "limits", settings.limits.model_dump_json(exclude_defaults=True))
    changes += _table(tx, "retention", settings.retention.model_dump_json(exclude_defaults=True))
    changes += _accounts(tx, settings)
    if changes:
        audit.write(tx, caller, "settings.applied", "fleet", changes=[f"{c.change} {c.subject}" for c in changes])
    return changes


def _left(name: str, row: Row, settings: Settings) -> bool:
    return name not in settings.agents and row["state"] != "stopped"


def _stop(tx: Tx, name: str) -> Change:
    agents.revoke(tx, agents.known(tx, name), "the agent left queenpost.toml")
    tx.run("agents.set_state", name=name, state="stopped")
    agents.announce(tx, name, "stopped")
    return Change(subject=name, change="stopped", detail="its mail is kept")


def _put(tx: Tx, name: str, settings: AgentSettings, former: Row | None) -> Change | None:
    agents.require_name(name, settings.role)
    if former is None:
        _require_not_owned(tx, name)
        agents.put(tx, name, settings, "file")
        agents.announce(tx, name, "added")
        return Change(subject=name, change="added")
    stored = settings.model_dump_json(exclude_defaults=True)
    if former["state"] == "active" and former["settings"] == stored:
        return None
    _require_one_manager(tx, name, settings)
    tx.run("agents.change", name=name, role=settings.role, origin="file", settings=stored)
    budgets.judge(tx, name)
    change = "changed" if former["state"] == "active" else "revived"
    agents.announce(tx, name, change)
    return Change(subject=name, change=change, detail=_difference(former["settings"], stored))


def _table(tx: Tx, name: str, stored: str) -> list[Change]:
    """Store one table of the file, if it differs."""
    row = tx.one("fleet.tables")
    before: str = row[name] if row else "{}"
    if stored == before:
        return []
    tx.run(f"fleet.set_{name}", value=stored)
    return [Change(subject=name, change="changed", detail=_difference(before, stored))]


def _accounts(tx: Tx, settings: Settings) -> list[Change]:
    """Store the accounts; whoever uses one that differs is told."""
    before = applied_accounts(tx)
    told = {name: account.model_dump(exclude_defaults=True) for name, account in settings.accounts.items()}
    changes = _table(tx, "accounts", json.dumps(told, sort_keys=True))
    differ = {name for name in {*before, *settings.accounts} if before.get(name) != settings.accounts.get(name)}
    for name, agent in settings.agents.items():
        if (agent.account or DEFAULT_ACCOUNT) in differ:
            agents.announce(tx, name, "changed")
    return changes


def _require_not_owned(tx: Tx, name: str) -> None:
    row = tx.one("agents.agent", name=name)
    if row is not None and row["state"] != "removed" and row["origin"] == "database":
        raise Conflict(f"agents.{name}: the database owns an agent of this name; `queenpost agent remove {name}` first")


def _require_one_manager(tx: Tx, name: str, settings: AgentSettings) -> None:
    manager = tx.one("agents.managers")
    if settings.role == "manager" and manager is not None and manager["name"] != name:
        raise Conflict(f"agents.{name}: {manager['name']} is the manager; a fleet has at most one")


def _difference(before: str, after: str) -> str:
    try:
        old = json.loads(before)
    except ValueError:
        return "what was stored was broken"
    new = json.loads(after)
    return ", ".join(sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key)))
