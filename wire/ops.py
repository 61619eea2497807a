"""The op table: what each `noun.verb` takes and gives, who may call it, whether it acts for an agent.

Ownership and allow-lists are not here: `broker.services.policy` decides those.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wire import (
    agents,
    asks,
    finding,
    fleet,
    inbox,
    job_probe,
    jobs,
    letters,
    notes,
    office,
    reminders,
    statistics,
    turns,
)  # fmt: skip
from wire.model import Mutation, Request, Result

Right = Literal["operator", "harness", "agent", "manager"]
"""`agent` is any agent, by its own token or attached by a harness; `manager` only the agent with that role."""


@dataclass(frozen=True, slots=True)
class Op:
    """One row of the table."""

    name: str
    request: type[Request]
    result: type[Result]
    rights: frozenset[Right]
    attached: bool = False
    """An agent: only by an instance that is attached on this connection; the call is bound to its epoch."""
    parks: bool = False
    """May wait for mail; can be withdrawn with `request.cancel`."""

    @property
    def mutates(self) -> bool:
        """Say whether the request carries a key and its result is replayed."""
        return issubclass(self.request, Mutation)


def _op(
    request: type[Request],
    result: type[Result],
    rights: Iterable[Right],
    *,
    attached: bool = False,
    parks: bool = False,
) -> Op:
    name: str = request.model_fields["op"].default
    return Op(name, request, result, frozenset(rights), attached, parks)


_OPS = (
    _op(fleet.FleetPing, fleet.FleetPong, ("operator", "harness", "agent")),
    _op(fleet.RequestCancel, fleet.Cancelled, ("operator", "harness", "agent")),
    _op(fleet.FleetStatus, fleet.FleetState, ("operator",)),
    _op(fleet.FleetApply, fleet.FleetApplied, ("operator",)),
    _op(inbox.InboxSend, inbox.InboxSent, ("operator", "agent")),
    _op(inbox.InboxPeek, inbox.InboxPeeked, ("agent",)),
    _op(inbox.InboxList, inbox.InboxListed, ("operator", "agent")),
    _op(inbox.InboxAck, inbox.InboxAcked, ("operator",)),
    _op(inbox.InboxExplain, inbox.InboxExplained, ("operator", "agent")),
    _op(inbox.InboxDead, inbox.InboxListed, ("operator",)),
    _op(inbox.InboxRequeue, inbox.InboxChanged, ("operator",)),
    _op(inbox.InboxDiscard, inbox.InboxChanged, ("operator",)),
    _op(letters.InboxHeld, inbox.InboxListed, ("operator",)),
    _op(letters.InboxRelease, inbox.InboxChanged, ("operator",)),
    _op(letters.InboxRecall, letters.InboxRecalled, ("operator", "agent")),
    _op(finding.InboxSearch, finding.InboxFound, ("operator", "agent")),
    _op(finding.InboxThread, finding.InboxThreaded, ("operator", "agent")),
    _op(turns.TurnsOpen, turns.TurnsOpened, ("agent",), attached=True, parks=True),
    _op(turns.TurnsTake, turns.TurnsTaken, ("agent",), attached=True, parks=True),
    _op(turns.TurnsGiveBack, turns.TurnsGivenBack, ("agent",), attached=True),
    _op(turns.TurnsRenew, turns.TurnsRenewed, ("agent",), attached=True),
    _op(turns.TurnsResume, turns.TurnsOpened, ("agent",), attached=True),
    _op(turns.TurnsClose, turns.TurnsClosed, ("agent",), attached=True),
    _op(turns.TurnsSettle, turns.TurnsSettled, ("agent",)),
    _op(notes.NotesBegin, notes.NotesBegun, ("agent",), attached=True),
    _op(notes.NotesEnd, notes.NotesEnded, ("agent",), attached=True),
    _op(agents.AgentsAttach, agents.AgentsAttached, ("harness", "agent")),
    _op(agents.AgentsDetach, agents.AgentsChanged, ("harness", "agent")),
    _op(agents.AgentsReport, agents.AgentsChanged, ("agent",), attached=True),
    _op(agents.AgentsList, agents.AgentsListed, ("operator", "harness", "manager")),
    _op(agents.AgentsShow, agents.AgentsShown, ("operator",)),
    _op(agents.AgentsAdd, agents.AgentsAdded, ("operator",)),
    _op(agents.AgentsRemove, agents.AgentsChanged, ("operator",)),
    _op(agents.AgentsPause, agents.AgentsChanged, ("operator", "manager")),
    _op(agents.AgentsResume, agents.AgentsChanged, ("operator", "manager")),
    _op(agents.AgentsRestart, agents.AgentsChanged, ("operator",)),
    _op(agents.AgentsLend, agents.AgentsLent, ("harness",)),
    _op(agents.AgentsWakeTest, agents.AgentsWoken, ("operator",)),
    _op(agents.AgentsToken, agents.AgentsTokenPath, ("operator",)),
    _op(agents.AgentsRotate, agents.AgentsTokenPath, ("operator",)),
    _op(finding.AgentsExplain, finding.Explained, ("operator", "manager")),
    _op(statistics.AgentsStats, statistics.AgentsCounted, ("operator", "agent")),
    _op(agents.AgentsWhoami, agents.AgentsWho, ("agent",)),
    _op(asks.AsksAsk, asks.AsksAsked, ("operator", "agent")),
    _op(asks.AsksAnswer, asks.AsksAnswered, ("operator", "agent")),
    _op(asks.AsksCancel, asks.AsksCancelled, ("operator", "agent")),
    _op(asks.AsksList, asks.AsksListed, ("operator", "agent")),
    _op(asks.AsksWait, asks.AsksWaited, ("agent",), attached=True, parks=True),
    _op(finding.AsksExplain, finding.Explained, ("operator", "agent")),
    _op(reminders.RemindersAdd, reminders.RemindersAdded, ("operator", "agent")),
    _op(reminders.RemindersList, reminders.RemindersListed, ("operator", "agent")),
    _op(reminders.RemindersCancel, reminders.RemindersChanged, ("operator", "agent")),
    _op(reminders.RemindersRetry, reminders.RemindersChanged, ("operator", "agent")),
    _op(reminders.RemindersStats, reminders.RemindersCounted, ("operator", "agent")),
    _op(finding.RemindersExplain, finding.Explained, ("operator", "agent")),
    _op(jobs.JobsRegister, jobs.JobsRegistered, ("operator", "agent")),
    _op(jobs.JobsClaim, jobs.JobsClaimed, ("operator", "agent"), attached=True),
    _op(jobs.JobsList, jobs.JobsListed, ("operator", "agent")),
    _op(jobs.JobsShow, jobs.JobsShown, ("operator", "agent")),
    _op(jobs.JobsWatch, jobs.JobsShown, ("operator", "agent"), parks=True),
    _op(jobs.JobsRecorded, jobs.JobsFates, ("operator", "agent")),
    _op(jobs.JobsTransport, jobs.JobsTransported, ("operator", "harness", "agent")),
    _op(jobs.JobsCarry, jobs.JobsCarried, ("operator", "harness", "agent")),
    _op(job_probe.JobsProbe, job_probe.JobsProbed, ("operator",)),
    _op(jobs.JobsSessions, jobs.JobsSessionsListed, ("operator",)),
    _op(jobs.JobsReconcile, jobs.JobsReconciled, ("operator",)),
    _op(jobs.JobsImport, jobs.JobsImported, ("operator",)),
    _op(jobs.JobsCancel, jobs.JobsChanged, ("operator", "agent")),
    _op(office.FleetFreeze, office.FleetFrozen, ("operator",)),
    _op(office.FleetThaw, office.FleetFrozen, ("operator",)),
    _op(office.FleetBackup, office.FleetBackedUp, ("operator",)),
    _op(office.FleetStats, office.FleetFigures, ("operator",)),
    _op(office.FleetProbe, office.FleetProbed, ("operator",)),
)

OPS: dict[str, Op] = {op.name: op for op in _OPS}
"""By name. A request whose op is not here is answered, not dropped."""
