"""Lending an agent's session to a terminal: what it is opened with, and telling its harness to step aside.

Who has the session is not known here: that is a lock on the machine where the session lies.
"""

from broker.services import agents, audit
from broker.services.accounts import account_of
from broker.services.callers import Caller
from broker.services.policy import settings_of
from broker.store.tx import Tx
from wire.agents import AgentsLend, AgentsLent
from wire.errors import Denied, Unknown
from wire.fleet import Push


def lend(tx: Tx, caller: Caller, request: AgentsLend, *, proven: bool) -> AgentsLent:
    """Give settings and account of an agent; tell the harness that holds it, if it shall step aside.

    `proven`: the edge checked the agent's token. May be repeated: only the push is sent again.

    Raises:
        Unknown: no such agent. Denied: wrong token, or the agent is stopped.
    """
    row = agents.known(tx, request.agent)
    if row["state"] == "removed":
        raise Unknown(f"no agent {request.agent!r} in this fleet; `queenpost agent list` shows them")
    if not proven:
        raise Denied(f"that is not the token of {request.agent}; read it from the fleet's secrets/agents folder")
    if row["state"] == "stopped":
        raise Denied(f"{request.agent} is stopped: it left queenpost.toml; declare it again")
    settings = settings_of(row["settings"])
    if not request.step_aside:
        audit.write(tx, caller, "agent.lent", request.agent)
    elif row["instance"] is not None and not row["attended"]:
        data = {"change": "lend", "instance": row["instance"], "now": request.now}
        tx.push(Push(event="agents_changed", agent=request.agent, data=data))
    return AgentsLent(agent=row["name"], role=row["role"], settings=settings, account=account_of(tx, settings))
