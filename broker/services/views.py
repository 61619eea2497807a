"""What people and agents look at: listings, rosters, status.

Read-only, beside the writer; a damaged row shows as broken and never empties a list.
"""

from typing import Any

from broker.services import budgets, policy
from broker.services.callers import OPERATOR, Caller
from broker.services.leasing import about_of, is_intact
from broker.services.states import Reports, state_of
from broker.store.readers import Reader
from wire.agents import AgentsListed, AgentsShown, AgentState, AgentSummary, AgentsWho, LastTurn, Peer
from wire.errors import Denied, Unknown
from wire.fleet import Account
from wire.ids import message_id, message_number, turn_id
from wire.inbox import InboxDead, InboxList, InboxListed, InboxPeek, InboxPeeked, Item, Mail, State
from wire.letters import InboxHeld
from wire.settings import AgentSettings

PAGE_BYTES = 128 * 1024
"""Bodies in one answer: even fully escaped, at six bytes each, they stay below the bound of a frame."""

SHOWN: dict[str, State] = {
    "scheduled": "queued",
    "ready": "queued",
    "leased": "in_turn",
    "acked": "handled",
    "dead": "dead",
    "held": "held",
    "expired": "expired",
}
"""How a stored state is shown; the word `delivered` is not among them."""


def _item(row: Any) -> Item:
    intact = is_intact(row)
    return Item(
        id=message_id(row["id"]),
        sender=row["sender"],
        recipient=row["recipient"],
        kind=row["kind"],
        body=row["body"].decode() if intact else "",
        in_reply_to=message_id(row["in_reply_to"]) if row["in_reply_to"] is not None else None,
        sent_at_ms=row["sent_at"],
        state=SHOWN[row["state"]],
        turn=turn_id(row["turn"]) if row["turn"] is not None else None,
        attempt=row["attempt"],
        failures=row["failures"],
        reason=row["reason"],
        broken=not intact,
    )


async def list_inbox(reader: Reader, caller: Caller, request: InboxList) -> InboxListed:
    """List one mailbox, oldest first. Agents see only their own.

    Raises:
        Denied: another agent's mailbox. Unknown: no such agent.
    """
    name = request.agent or caller.name
    if caller.kind == "agent" and name != caller.name:
        raise Denied("an agent sees only its own inbox")
    if name != OPERATOR and await reader.one("agents.agent", name=name) is None:
        raise Unknown(f"no agent {name!r} in this fleet; `queenpost agent list` shows them")
    after = message_number(request.after) if request.after else 0
    rows = await reader.all("inbox.list", recipient=name, after=after, all=int(request.all), limit=request.limit + 1)
    return _page(rows, request.limit)


async def list_dead(reader: Reader, request: InboxDead) -> InboxListed:
    """List dead letters that nobody discarded."""
    after = message_number(request.after) if request.after else 0
    rows = await reader.all("inbox.dead", recipient=request.agent, after=after, limit=request.limit + 1)
    return _page(rows, request.limit)


def _page(rows: list[Any], limit: int) -> InboxListed:
    """Cut a page by number and by bytes: an answer has to fit into a frame."""
    items: list[Item] = []
    size = 0
    for row in rows[:limit]:
        size += len(row["body"])
        if items and size > PAGE_BYTES:
            break
        items.append(_item(row))
    if len(rows) > len(items):
        # The next page begins behind a message: a broadcast whose copies do not all fit is left for it.
        whole = [item for item in items if item.id != message_id(rows[len(items)]["id"])]
        items = whole or items
    return InboxListed(items=items, more=len(rows) > len(items))


async def peek(reader: Reader, caller: Caller, request: InboxPeek, now_ms: int) -> InboxPeeked:
    """Show ready mail without taking it."""
    rows = await reader.all("inbox.peek", recipient=caller.name, now=now_ms, limit=request.max)
    count = await reader.one("inbox.count_ready", recipient=caller.name, now=now_ms)
    mail = [_mail(row) for row in rows if is_intact(row)]
    return InboxPeeked(mail=mail, waiting=count["n"] if count else 0)


def _mail(row: Any) -> Mail:
    return Mail(
        id=message_id(row["id"]),
        sender=row["sender"],
        kind=row["kind"],
        body=row["body"].decode(),
        sent_at_ms=row["sent_at"],
        in_reply_to=message_id(row["in_reply_to"]) if row["in_reply_to"] is not None else None,
        depth=row["depth"],
        broadcast=row["addressed_to"] == "*",
        attempt=row["attempt"] + 1,
        about=about_of(row),
    )


async def list_agents(
    reader: Reader, reports: Reports, *, removed: bool, name: str | None = None, now_ms: int | None = None
) -> AgentsListed:
    """List agents with state and mail, the manager first; with what they spent today, where one says when that is."""
    day = None if now_ms is None else budgets.day_of(now_ms)
    rows = await reader.all("agents.summaries", removed=int(removed), name=name, day=day)
    return AgentsListed(agents=[_summary(row, reports) for row in rows])


def _summary(row: Any, reports: Reports) -> AgentSummary:
    state, reason = state_of(row, working=row["turn_state"] == "open", reports=reports)
    return AgentSummary(
        name=row["name"],
        role=row["role"],
        backend=policy.settings_of(row["settings"]).backend,
        origin=row["origin"],
        state=state,
        reason=reason,
        until_ms=_until(row, state, reports),
        ready=row["ready"],
        leased=row["leased"],
        held=row["held"],
        dead=row["dead"],
        attached=row["instance"] is not None and row["lost_at"] is None,
        epoch=row["epoch"],
        last_turn=_last_turn(row),
        open_asks=row["open_asks"],
        reminders=row["reminders"],
        tokens_today=row["tokens_today"],
        cost_usd_today=row["cost_usd_today"],
    )


def _until(row: Any, state: AgentState, reports: Reports) -> int | None:
    said = reports.until(row["name"], state)
    return row["budget_until"] if state == "parked" and row["budget_until"] is not None else said


def _last_turn(row: Any) -> LastTurn | None:
    if row["turn"] is None:
        return None
    return LastTurn(
        id=turn_id(row["turn"]),
        state=row["turn_state"],
        outcome=row["turn_outcome"],
        opened_at_ms=row["opened_at"],
        closed_at_ms=row["closed_at"],
    )


async def show_agent(
    reader: Reader, reports: Reports, name: str, token_path: str, now_ms: int | None = None
) -> AgentsShown:
    """Show one agent; values of `env` are masked.

    Raises:
        Unknown: no such agent.
    """
    listed = await list_agents(reader, reports, removed=True, name=name, now_ms=now_ms)
    row = await reader.one("agents.agent", name=name)
    if not listed.agents or row is None:
        raise Unknown(f"no agent {name!r} in this fleet; `queenpost agent list` shows them")
    settings = masked(policy.settings_of(row["settings"]))
    expected = row["state"] != "removed"
    return AgentsShown(agent=listed.agents[0], settings=settings, token_path=token_path, token_expected=expected)


def masked(settings: AgentSettings) -> AgentSettings:
    """Give settings whose environment shows names only."""
    return settings.model_copy(update={"env": dict.fromkeys(settings.env, "***")})


async def whoami(reader: Reader, reports: Reports, caller: Caller, fleet: str, now_ms: int) -> AgentsWho:
    """Tell an agent who it is and whom it may write to.

    Raises:
        Unknown: the agent was removed.
    """
    me = await reader.one("agents.agent", name=caller.name)
    if me is None or me["state"] == "removed":
        raise Unknown(f"{caller.name} is not part of the fleet any more")
    allowed = policy.allowed_recipients(me["settings"])
    roster = await reader.all("agents.roster", name=caller.name)
    count = await reader.one("inbox.count_ready", recipient=caller.name, now=now_ms)
    turn = await reader.one("turns.of_agent_open", agent=caller.name)
    asks = await reader.one("asks.counts_of", name=caller.name)
    waiting = await reader.one("reminders.count_waiting", agent=caller.name)
    managers = [row["name"] for row in roster if row["role"] == "manager"]
    return AgentsWho(
        name=caller.name,
        role=me["role"],
        fleet=fleet,
        manager=caller.name if me["role"] == "manager" else next(iter(managers), None),
        roster=[_peer(row, me["role"], allowed, reports) for row in roster],
        waiting=count["n"] if count else 0,
        open_turn=turn_id(turn["id"]) if turn else None,
        asked=asks["asked"] if asks else 0,
        to_answer=asks["to_answer"] if asks else 0,
        reminders=waiting["n"] if waiting else 0,
    )


def _peer(row: Any, my_role: str, allowed: frozenset[str] | None, reports: Reports) -> Peer:
    state, _ = state_of(row, working=bool(row["working"]), reports=reports)
    may = policy.may_write(my_role, allowed, row["name"], row["role"])
    return Peer(name=row["name"], role=row["role"], state=state, may_write=may)


async def account(reader: Reader) -> tuple[Account, int]:
    """Add up what became of every accepted delivery; (account, unread operator mail)."""
    row = await reader.one("fleet.account")
    if row is None:
        raise Unknown("the account cannot be read; the database is empty")
    explained = sum(row[name] for name in ("handled", "waiting", "dead", "held", "expired", "mailbox"))
    names = ("accepted", "handled", "redelivered", "waiting", "dead", "held", "expired", "mailbox")
    figures = {name: row[name] for name in names}
    return Account(lost=row["accepted"] - explained, **figures), row["unread"]


async def list_held(reader: Reader, request: InboxHeld) -> InboxListed:
    """List held mail: storms, damage, too many restarts."""
    after = message_number(request.after) if request.after else 0
    rows = await reader.all("inbox.held", recipient=request.agent, after=after, limit=request.limit + 1)
    return _page(rows, request.limit)


async def is_frozen(reader: Reader) -> bool:
    """Say whether everybody is frozen, agents that come later too."""
    row = await reader.one("freezing.fleet")
    return row is not None and bool(row["everybody"])
