"""Proving that an agent would wake: its parked `turns.open` is ended, and its loop has to come back with the next.

That is the whole way of a wake, there and back, but for the program that plays the model: it costs no model call.
"""

import anyio

from broker.edge.connection import Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.services import views
from broker.services.callers import Caller
from wire.agents import AgentSummary, AgentsWakeTest, AgentsWoken
from wire.errors import Unknown
from wire.model import Result

COMES_BACK_S = 5.0
"""As long as ready mail may wait for a loop before its harness starts it anew."""

STUCK = "its loop does not wait for mail; `queenpost agent restart {0}` starts it anew"
SILENT = "its loop was woken and did not come back in {1:g} s; `queenpost agent restart {0}` starts it anew"
ATTENDED = "a session of its own works for it, and takes mail when its model asks for it"
BUSY = "{0} runs, and its mail is looked for when that ends"


async def wake_test(office: Office, _hub: Hub, _line: Connection, _caller: Caller, request: AgentsWakeTest) -> Result:
    """Wake an agent's turn loop without mail, and see it come back.

    Raises:
        Unknown: no such agent.
    """
    before, attended = await _look(office, request.agent)
    if before.state == "idle" and not attended and not office.parked_opens.tickets(request.agent):
        with anyio.move_on_after(COMES_BACK_S):  # between two waits, or while its loop starts anew
            await office.parked_opens.coming(request.agent).wait()
    tickets = office.parked_opens.tickets(request.agent)
    if not tickets:
        reason = ATTENDED if attended else _why_not(before)
        return AgentsWoken(agent=before.name, woken=False, state=before.state, reason=reason)
    came = office.parked_opens.coming(request.agent)
    started_s = anyio.current_time()
    for ticket in tickets:
        office.writer.withdraw(ticket)
    with anyio.move_on_after(COMES_BACK_S):
        await came.wait()
    wake_ms = (anyio.current_time() - started_s) * 1000
    after, _ = await _look(office, request.agent)
    if came.is_set():
        return AgentsWoken(agent=after.name, woken=True, wake_ms=wake_ms, state=after.state, reason=after.reason)
    # Mail that came in the same moment has woken it before us.
    reason = _why_not(after) if after.state != "idle" else SILENT.format(after.name, COMES_BACK_S)
    return AgentsWoken(agent=after.name, woken=False, state=after.state, reason=reason)


async def _look(office: Office, agent: str) -> tuple[AgentSummary, bool]:
    """Give an agent as the status shows it, and whether a session of its own works for it."""
    async with office.readers.read() as reader:
        listed = await views.list_agents(reader, office.reports, removed=False, name=agent)
        row = await reader.one("agents.agent", name=agent)
    if not listed.agents or row is None:
        raise Unknown(f"no agent {agent!r} in this fleet; `queenpost agent list` shows them")
    return listed.agents[0], bool(row["attended"] and row["instance"] is not None)


def _why_not(agent: AgentSummary) -> str:
    turn = agent.last_turn
    if turn is not None and turn.state == "open":
        return BUSY.format(f"turn {turn.id}")
    if agent.state != "idle":
        return agent.reason
    return STUCK.format(agent.name)
