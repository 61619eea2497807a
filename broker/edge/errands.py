"""Ops that are more than one command: reads beside the writer, attaching, and what touches files.

Each is an async function (office, hub, connection, caller, request) → result. No rule of the post office is here.
"""

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from broker.edge import asking, finding, jobs, registry, valves, waking
from broker.edge.connection import Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.edge.version import program_version
from broker.services import ask_views, holders, job_views, lending, restarts, stories, views
from broker.services.callers import Caller
from wire import agents, fleet, inbox, letters
from wire.errors import Denied
from wire.model import Result

Errand = Callable[[Office, Hub, Connection, Caller, Any], Awaitable[Result]]


async def ping(office: Office, _hub: Hub, _line: Connection, _caller: Caller, _request: fleet.FleetPing) -> Result:
    """Answer that the broker is there."""
    return fleet.FleetPong(server_time_ms=office.clock.wall_ms())


async def status(office: Office, _hub: Hub, _line: Connection, _caller: Caller, _request: fleet.FleetStatus) -> Result:
    """Show the fleet."""
    async with office.readers.read() as reader:
        listed = await views.list_agents(reader, office.reports, removed=False, now_ms=office.clock.now_ms())
        account, unread = await views.account(reader)
        frozen = await views.is_frozen(reader)
        open_asks = await ask_views.count_for_operator(reader)
        unfinished = await job_views.counts(reader)
    return fleet.FleetState(
        fleet=office.fleet,
        home=str(office.home.root),
        pid=os.getpid(),
        version=program_version(),
        started_at_ms=office.started_at_ms,
        server_time_ms=office.clock.wall_ms(),
        agents=listed.agents,
        account=account,
        operator_mail=unread,
        open_asks=open_asks,
        jobs=unfinished,
        frozen=frozen,
        wal_bytes=office.database.wal_bytes(),
        warnings=[*office.warnings, *office.transport_warnings()],
    )


async def list_inbox(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: inbox.InboxList) -> Result:
    """List a mailbox."""
    async with office.readers.read() as reader:
        return await views.list_inbox(reader, caller, request)


async def list_dead(office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: inbox.InboxDead) -> Result:
    """List dead letters."""
    async with office.readers.read() as reader:
        return await views.list_dead(reader, request)


async def list_held(
    office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: letters.InboxHeld
) -> Result:
    """List held mail."""
    async with office.readers.read() as reader:
        return await views.list_held(reader, request)


async def peek(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: inbox.InboxPeek) -> Result:
    """Show waiting mail without taking it."""
    async with office.readers.read() as reader:
        return await views.peek(reader, caller, request, office.clock.now_ms())


async def explain(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: inbox.InboxExplain) -> Result:
    """Tell the story of a message."""
    async with office.readers.read() as reader:
        return await stories.explain(reader, caller, request, office.clock.now_ms(), office.reports)


async def whoami(office: Office, _hub: Hub, _line: Connection, caller: Caller, _request: agents.AgentsWhoami) -> Result:
    """Tell an agent who it is."""
    async with office.readers.read() as reader:
        return await views.whoami(reader, office.reports, caller, office.fleet, office.clock.now_ms())


async def list_agents(
    office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: agents.AgentsList
) -> Result:
    """List the agents."""
    async with office.readers.read() as reader:
        now_ms = office.clock.now_ms()
        return await views.list_agents(reader, office.reports, removed=request.removed, now_ms=now_ms)


async def show_agent(
    office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: agents.AgentsShow
) -> Result:
    """Show one agent."""
    token = str(office.home.agent_secret(request.agent))
    async with office.readers.read() as reader:
        return await views.show_agent(reader, office.reports, request.agent, token, office.clock.now_ms())


async def attach(office: Office, hub: Hub, line: Connection, caller: Caller, request: agents.AgentsAttach) -> Result:
    """Let this connection speak for an agent."""
    own = caller.kind == "agent"
    if own and request.agent != caller.name:
        raise Denied(f"this connection belongs to {caller.name}; it cannot attach {request.agent!r}")
    proven = own or await _is_proven(office, request)
    reply = await office.writer.run(
        lambda tx: holders.attach(tx, Caller(line.principal.kind, line.principal.name), request, proven=proven)
    )
    if not hub.has_holder(reply.agent, request.instance):
        office.reports.forget(reply.agent)  # of another instance
    line.attachments[reply.agent] = Caller("agent", reply.agent, reply.epoch, request.instance, reply.attended)
    office.roles[reply.agent] = reply.role
    if line.closed.is_set():  # it ended while the commit was under way
        line.ended()
    else:
        hub.attached(reply.agent, line)
    return reply


async def _is_proven(office: Office, request: agents.AgentsAttach) -> bool:
    """Say whether the token is the agent's. Who was told of a new agent may be here before its token is known."""
    if not office.keys.is_agent(request.agent_token, request.agent):
        async with office.registering:
            return office.keys.is_agent(request.agent_token, request.agent)
    return True


async def lend(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: agents.AgentsLend) -> Result:
    """Have an agent's session lent to a terminal."""
    proven = office.keys.is_agent(request.agent_token, request.agent)
    return await office.writer.run(partial(lending.lend, caller=caller, request=request, proven=proven))


async def detach(office: Office, hub: Hub, line: Connection, caller: Caller, request: agents.AgentsDetach) -> Result:
    """Give an agent up."""
    holder = line.attachments.get(request.agent)
    if holder is None:
        return agents.AgentsChanged(agent=request.agent, changed=False)
    reply = await office.writer.run(partial(holders.detach, caller=holder, request=request))
    line.attachments.pop(request.agent, None)
    if hub.is_holder(request.agent, line):
        hub.detached(request.agent, line)
        office.reports.forget(request.agent)
    return reply


async def report(office: Office, hub: Hub, line: Connection, caller: Caller, request: agents.AgentsReport) -> Result:
    """Keep what a harness says of its agent; a report of a former holder is forgotten at once."""
    if hub.is_holder(caller.name, line):
        office.reports.by_agent[caller.name] = request
        if request.state in ("parked", "failed") and office.roles.get(caller.name) == "manager":
            await office.writer.run(restarts.go_on)  # it opens no turn that others could wait for
    return agents.AgentsChanged(agent=caller.name, changed=True)


ERRANDS: dict[str, Errand] = {
    "fleet.ping": ping,
    "fleet.status": status,
    "fleet.apply": registry.apply,
    "fleet.freeze": valves.freeze,
    "fleet.thaw": valves.thaw,
    "fleet.backup": valves.backup,
    "fleet.stats": finding.stats,
    "fleet.probe": finding.probe,
    "inbox.list": list_inbox,
    "inbox.dead": list_dead,
    "inbox.peek": peek,
    "inbox.explain": explain,
    "inbox.held": list_held,
    "inbox.search": finding.search,
    "inbox.thread": finding.thread,
    "asks.list": asking.list_asks,
    "asks.explain": asking.explain_ask,
    "reminders.list": asking.list_reminders,
    "reminders.stats": asking.reminder_stats,
    "reminders.explain": asking.explain_reminder,
    "jobs.list": jobs.list_jobs,
    "jobs.show": jobs.show_job,
    "jobs.sessions": jobs.sessions,
    "jobs.transport": jobs.transport,
    "jobs.carry": jobs.carry,
    "jobs.probe": jobs.probe,
    "agents.explain": finding.explain_agent,
    "agents.stats": finding.agent_stats,
    "agents.rotate": registry.rotate,
    "agents.attach": attach,
    "agents.detach": detach,
    "agents.lend": lend,
    "agents.report": report,
    "agents.list": list_agents,
    "agents.show": show_agent,
    "agents.add": registry.add,
    "agents.wake_test": waking.wake_test,
    "agents.remove": registry.remove,
    "agents.token": registry.token,
    "agents.whoami": whoami,
}
"""By op."""
