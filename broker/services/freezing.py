"""Freeze and thaw: the columns follow the file in the home (`wire.freeze_file`), whoever wrote it (DESIGN 5.18).

Frozen agents get no turn and send nothing; their mail collects, and nobody is alarmed about it.
"""

import json
from collections.abc import Iterable, Sequence

from broker.services import audit, holders, restarts
from broker.services.callers import Caller
from broker.store.tx import Row, Tx
from wire.errors import Unknown
from wire.fleet import Push
from wire.ids import turn_id
from wire.office import FleetFrozen

REASON = "frozen by the operator"


def require_known(tx: Tx, names: Iterable[str], *, removed: bool) -> None:
    """See that every name is an agent's; `removed`: one that was removed will do.

    Raises:
        Unknown: names the first that is not.
    """
    known = {row["name"] for row in tx.all("freezing.names", removed=int(removed))}
    for name in names:
        if name not in known:
            raise Unknown(f"no agent {name!r} in this fleet; nothing was changed. `queenpost agent list` shows them")


def follow(tx: Tx, caller: Caller, everybody: bool, names: Iterable[str]) -> FleetFrozen:
    """Make the columns say who is frozen: these and no others.

    Turns of those who are frozen now end and give their mail back, nothing counted; who is thawed wakes. Names that
    are no agent's are passed over. Idempotent; changing nothing writes nothing.
    """
    wanted = frozenset(names)
    row = tx.one("freezing.fleet")
    all_were = row is not None and bool(row["everybody"])
    agents = tx.all("freezing.agents")
    frozen = [a for a in agents if (everybody or a["name"] in wanted) and not (all_were or a["frozen"])]
    thawed = [a for a in agents if (all_were or a["frozen"]) and not (everybody or a["name"] in wanted)]
    marks = tx.run("freezing.mark_everybody", everybody=int(everybody))
    marks += tx.run("freezing.mark_agents", names=json.dumps(sorted(wanted)))
    for agent in frozen:
        _stop(tx, agent)
    for agent in thawed:
        tx.woke(agent["name"])
    if frozen:
        restarts.revise(tx, "manager")
    marked = [a["name"] for a in agents if a["name"] in wanted]
    if marks:
        unmarked = [a["name"] for a in agents if a["frozen"] and a["name"] not in wanted]
        news = [a["name"] for a in agents if a["name"] in wanted and not a["frozen"]]
        _write_down(tx, caller, "fleet.frozen", everybody > all_were, news)
        _write_down(tx, caller, "fleet.thawed", all_were > everybody, unmarked)
    return FleetFrozen(everybody=everybody, agents=marked, changed=sorted(a["name"] for a in (*frozen, *thawed)))


def _stop(tx: Tx, agent: Row) -> None:
    """End what an agent has open and tell whoever runs it; the holder stays the holder."""
    if agent["turn"] is not None and agent["instance"] is not None:
        data = {
            "instance": agent["instance"],
            "epoch": agent["epoch"],
            "turn": turn_id(agent["turn"]),
            "frozen": True,
        }
        tx.push(Push(event="turn_revoked", agent=agent["name"], data=data))
    if agent["turn"] is not None or agent["has_lapsed"]:
        holders.release_turns(tx, agent["name"], "stopped", REASON, restarted=False)
    tx.woke(agent["name"])  # a take that waits in the turn learns that it is over


def _write_down(tx: Tx, caller: Caller, action: str, everybody: bool, names: Sequence[str]) -> None:
    if everybody or names:
        audit.write(tx, caller, action, "fleet", everybody=everybody, agents=list(names))
