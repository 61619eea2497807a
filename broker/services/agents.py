"""The registry of agents: add, remove, pause, resume. Tokens are made in `credentials`, holders live in `holders`."""

import json
import re

from broker.services import ask_ends, audit, budgets, holders, notices, reminders, restarts
from broker.services.callers import Caller
from broker.store.tx import Row, Tx
from wire.agents import AgentsAdd, AgentsChanged, AgentsPause, AgentsRemove, AgentsRestart, AgentsResume
from wire.errors import Conflict, Invalid, Unknown
from wire.fleet import Push
from wire.ids import AGENT_NAME_PATTERN
from wire.settings import AgentSettings, check_agent_name

GONE = "{0} was removed from the fleet"


def require_name(name: str, role: str) -> None:
    """Refuse a name that is malformed, reserved, or would be taken for the manager.

    Raises:
        Invalid: says which rule.
    """
    if not re.fullmatch(AGENT_NAME_PATTERN, name):
        raise Invalid(f"{name!r} is no agent name: lower-case letters, digits and '-', a letter first, 31 at most")
    try:
        check_agent_name(name, role)
    except ValueError as exc:
        raise Invalid(str(exc)) from None


def add(tx: Tx, caller: Caller, request: AgentsAdd, token_sha256: bytes) -> AgentsChanged:
    """Register an agent that the database owns, or bring a removed one back under its old name.

    Raises:
        Invalid: the name. Conflict: it exists, or the fleet has a manager already.
    """
    require_name(request.agent, request.settings.role)
    row = tx.one("agents.agent", name=request.agent)
    if row is not None and row["state"] != "removed":
        owner = "queenpost.toml" if row["origin"] == "file" else "the database"
        raise Conflict(f"{request.agent} exists already (declared in {owner}); choose another name")
    put(tx, request.agent, request.settings, "database")
    tx.run("credentials.put", name=f"agent:{request.agent}", sha256=token_sha256, now=tx.now_ms)
    audit.write(tx, caller, "agent.added", request.agent, role=request.settings.role, backend=request.settings.backend)
    announce(tx, request.agent, "added")
    return AgentsChanged(agent=request.agent, changed=True)


def put(tx: Tx, name: str, settings: AgentSettings, origin: str) -> None:
    """Write an agent's row.

    Raises:
        Conflict: a second manager.
    """
    if settings.role == "manager":
        manager = tx.one("agents.managers")
        if manager is not None and manager["name"] != name:
            raise Conflict(f"{manager['name']} is the manager; a fleet has at most one. Remove it first.")
    stored = settings.model_dump_json(exclude_defaults=True)
    tx.run("agents.add", name=name, role=settings.role, origin=origin, settings=stored, now=tx.now_ms)
    budgets.judge(tx, name)


def announce(tx: Tx, agent: str, change: str) -> None:
    """Tell harnesses that an agent changed."""
    tx.push(Push(event="agents_changed", agent=agent, data={"change": change}))
    tx.woke(agent)


def revoke(tx: Tx, row: Row, reason: str) -> None:
    """Take an agent from its holder, who is told; its open turn goes back uncounted."""
    if row["instance"] is not None:
        data = {"instance": row["instance"], "epoch": row["epoch"]}
        tx.push(Push(event="turn_revoked", agent=row["name"], data=data))
    holders.leave(tx, row["name"], reason)


def remove(tx: Tx, caller: Caller, request: AgentsRemove) -> AgentsChanged:
    """Take an agent out: its turn goes back, its waiting mail dies with one notice per sender, its token is void.

    What it asked, was asked, and wanted to be reminded of is cancelled; who waits for an answer is told. Idempotent:
    an agent that was removed before stays so.

    Raises:
        Unknown: no such agent. Conflict: queenpost.toml still declares it.
    """
    row = known(tx, request.agent)
    if row["state"] == "removed":
        return AgentsChanged(agent=request.agent, changed=False)
    if row["origin"] == "file" and row["state"] != "stopped":
        raise Conflict(
            f"{request.agent} is declared in queenpost.toml; delete it there and run `queenpost apply` first"
        )
    revoke(tx, row, "the agent was removed")
    tx.run("agents.set_state", name=request.agent, state="removed")
    budgets.judge(tx, request.agent)
    asks = ask_ends.cancel_of_agent(tx, request.agent)
    put_off = reminders.cancel_of_agent(tx, request.agent)
    dead = _bury_waiting(tx, request.agent)
    restarts.revise(tx, row["role"])
    tx.run("credentials.drop", name=f"agent:{request.agent}")
    audit.write(tx, caller, "agent.removed", request.agent, dead=dead, asks=asks, reminders=put_off)
    announce(tx, request.agent, "removed")
    return AgentsChanged(agent=request.agent, changed=True, dead=dead)


def known(tx: Tx, name: str) -> Row:
    """Give an agent's row, removed ones included.

    Raises:
        Unknown: no such agent.
    """
    row = tx.one("agents.agent", name=name)
    if row is None or row["role"] == "operator":
        raise Unknown(f"no agent {name!r} in this fleet; `queenpost agent list` shows them")
    return row


def _bury_waiting(tx: Tx, agent: str) -> int:
    rows = tx.all("inbox.waiting_of", recipient=agent)
    if not rows:
        return 0
    reason = GONE.format(agent)
    ids = json.dumps([row["id"] for row in rows])
    tx.run("inbox.settle", ids=ids, state="dead", reason=reason, now=tx.now_ms)
    counted = [row for row in rows if row["state"] != "held"]
    size = sum(row["bytes"] for row in counted)
    tx.run("inbox.count_one_in", recipient=agent, messages=-len(counted), bytes=-size)
    by_sender: dict[str, list[int]] = {}
    for row in rows:
        by_sender.setdefault(row["sender"], []).append(row["message"])
    notices.tell_of_dead(tx, agent, by_sender, reason)
    return len(rows)


def pause(tx: Tx, caller: Caller, request: AgentsPause | AgentsResume) -> AgentsChanged:
    """Pause or resume an agent: the running turn finishes, mail collects. Idempotent."""
    row = known(tx, request.agent)
    if row["state"] == "removed":
        raise Unknown(f"no agent {request.agent!r} in this fleet; `queenpost agent list` shows them")
    pausing = isinstance(request, AgentsPause)
    changed = bool(tx.run("agents.pause", name=request.agent, paused=int(pausing)))
    if changed:
        audit.write(tx, caller, "agent.paused" if pausing else "agent.resumed", request.agent)
        announce(tx, request.agent, "paused" if pausing else "resumed")
        restarts.revise(tx, row["role"])
    return AgentsChanged(agent=request.agent, changed=changed)


def restart(tx: Tx, caller: Caller, request: AgentsRestart) -> AgentsChanged:
    """Have the harness that holds an agent start its loop anew; kept until a harness has done it.

    The audit trail keeps the wish: a push may get lost with its link, `agents.attach` says it again.

    Raises:
        Unknown: no such agent. Conflict: no harness holds it, so there is nothing to start anew.
    """
    row = known(tx, request.agent)
    if row["instance"] is None or row["attended"]:
        who = "a session of its own" if row["attended"] and row["instance"] is not None else "nobody"
        raise Conflict(f"{who} works for {request.agent} now, so there is no loop to start anew; start its harness")
    audit.write(tx, caller, "agent.restarted", request.agent, now=request.now, fresh=request.fresh)
    data = {"change": "restart", "instance": row["instance"], "now": request.now, "fresh": request.fresh}
    tx.push(Push(event="agents_changed", agent=request.agent, data=data))
    return AgentsChanged(agent=request.agent, changed=True)
