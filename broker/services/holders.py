"""Who works for an agent: one instance at a time, fenced by an epoch (DESIGN 5.4, 5.7).

An epoch belongs to an instance, not to a connection: the same instance comes back to its turns.
"""

import json

from broker.services import ask_ends, leasing, restarts, settling
from broker.services.accounts import account_of
from broker.services.callers import Caller
from broker.services.policy import settings_of
from broker.store.tx import Row, Tx
from wire.agents import AgentsAttach, AgentsAttached, AgentsChanged, AgentsDetach, Restart
from wire.errors import Conflict, Denied, Unknown
from wire.fleet import Push
from wire.ids import turn_id

HOLDER_LIVES_MS = 60_000
"""How long a holder whose connection ended may come back before another instance gets the agent."""


def attach(tx: Tx, caller: Caller, request: AgentsAttach, *, proven: bool) -> AgentsAttached:
    """Make the calling instance the holder of an agent.

    Idempotent by instance. A new holder gets the next epoch; what the former one had open goes back at once.
    `proven`: the edge checked the agent's token (a harness) or the connection is the agent's own.

    Raises:
        Unknown: no such agent. Denied: wrong token, or the agent is stopped. Conflict: the holder lives.
    """
    row = tx.one("agents.agent", name=request.agent)
    if row is None or row["state"] == "removed" or row["role"] == "operator":
        raise Unknown(f"no agent {request.agent!r} in this fleet; `queenpost agent list` shows them")
    if not proven:
        raise Denied(f"that is not the token of {request.agent}; read it from the fleet's secrets/agents folder")
    if row["state"] == "stopped":
        raise Denied(
            f"{request.agent} is stopped: it left queenpost.toml; declare it again or `queenpost agent remove` it"
        )
    attended = caller.kind == "agent"
    if row["instance"] == request.instance:
        epoch = row["epoch"]
    else:
        _require_free(tx, row, request, attended=attended)
        epoch = _succeed(tx, row)
        if row["epoch"] and row["restarted"] and not attended and settings_of(row["settings"]).backend != "none":
            restarts.tell(tx, row["name"])
    tx.run("agents.occupy", name=row["name"], instance=request.instance, epoch=epoch, attended=int(attended))
    restarts.revise(tx, row["role"])
    tx.woke(row["name"])
    tx.log("agent_attached", agent=row["name"], epoch=epoch, instance=request.instance, attended=attended)
    return _attached(tx, row, epoch, attended=attended)


def _require_free(tx: Tx, row: Row, request: AgentsAttach, *, attended: bool) -> None:
    if row["instance"] is None or (request.takeover and not attended):
        return
    who = "an attended session" if row["attended"] else "a harness"
    holder = "attended" if row["attended"] else "harness"
    if row["lost_at"] is None:
        raise Conflict(
            f"{who} works for {row['name']} at this moment; end it first, or read with `--peek`",
            holder=holder,
            connected=True,
        )
    left_ms = row["lost_at"] + HOLDER_LIVES_MS - tx.now_ms
    if left_ms > 0:
        raise Conflict(
            f"{who} that worked for {row['name']} lost its connection and may come back for {left_ms / 1000:.0f} s",
            holder=holder,
            connected=False,
            retry_after_ms=left_ms,
        )


def _succeed(tx: Tx, row: Row) -> int:
    """End what the former holder had open and give the next epoch."""
    release_turns(tx, row["name"], "fenced", "another instance took over", restarted=True)
    if row["instance"] is not None:
        data = {"instance": row["instance"], "epoch": row["epoch"]}
        tx.push(Push(event="turn_revoked", agent=row["name"], data=data))
    return row["epoch"] + 1


def release_turns(tx: Tx, agent: str, outcome: str, reason: str, *, restarted: bool) -> None:
    """End the open and lapsed turns of an agent; the mail of the open one goes back."""
    ask_ends.cancel_of_lapsed(tx, agent)
    tx.run("turns.bury_lapsed", agent=agent, outcome=outcome, now=tx.now_ms)
    open_turn = tx.one("turns.of_agent_open", agent=agent)
    if open_turn is not None:
        settling.end_orphan(tx, agent, open_turn["id"], outcome, reason, restarted=restarted)


def _attached(tx: Tx, row: Row, epoch: int, *, attended: bool) -> AgentsAttached:
    open_turn = tx.one("turns.of_agent_open", agent=row["name"])
    settings = settings_of(row["settings"])
    return AgentsAttached(
        agent=row["name"],
        epoch=epoch,
        role=row["role"],
        attended=attended,
        open_turn=turn_id(open_turn["id"]) if open_turn else None,
        paused=bool(row["paused"]),
        settings=settings,
        account=account_of(tx, settings),
        restart=_restart_of(tx, row["name"]),
    )


def _restart_of(tx: Tx, agent: str) -> Restart | None:
    """Give the newest wish to start the agent anew; what cannot be read of it is not wished."""
    row = tx.one("audit.newest", subject=agent, action="agent.restarted")
    if row is None:
        return None
    try:
        return Restart.model_validate({"number": row["id"], **json.loads(row["detail"])})
    except (ValueError, TypeError):
        return Restart(number=row["id"])


def detach(tx: Tx, caller: Caller, request: AgentsDetach) -> AgentsChanged:
    """Give an agent up: an open turn goes back uncounted, the next instance need not wait. Idempotent."""
    row = tx.one("agents.agent", name=request.agent)
    if row is None or row["instance"] is None or row["instance"] != caller.instance:
        return AgentsChanged(agent=request.agent, changed=False)
    leave(tx, row["name"], "the instance detached")
    return AgentsChanged(agent=request.agent, changed=True)


def leave(tx: Tx, agent: str, reason: str) -> None:
    """Vacate an agent at once, nothing counted."""
    release_turns(tx, agent, "interrupted", reason, restarted=False)
    tx.run("agents.vacate", name=agent)
    tx.woke(agent)  # what the instance has parked ends now
    tx.log("agent_detached", agent=agent, reason=reason)


def connection_ended(tx: Tx, agent: str, instance: str, *, local: bool) -> None:
    """The connection of a holder ended: an attended one on this machine is gone, others may come back.

    Does nothing if another instance took over meanwhile.
    """
    row = tx.one("agents.agent", name=agent)
    if row is None or row["instance"] != instance:
        return
    if row["attended"] and local:
        leave(tx, agent, "the session's connection ended")
    elif tx.run("agents.lose", name=agent, instance=instance, now=tx.now_ms):
        tx.run("turns.rearm_one", agent=agent, lease_until=leasing.lease_until(tx))
        tx.revise_due()
        tx.log("agent_link_lost", agent=agent)
