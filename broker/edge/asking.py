"""Errands that read asks and reminders."""

from broker.edge.connection import Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.services import ask_views, reminder_views
from broker.services.callers import Caller
from wire import asks, finding, reminders
from wire.model import Result


async def list_asks(office: Office, _hub: Hub, _line: Connection, caller: Caller, request: asks.AsksList) -> Result:
    """List asks."""
    async with office.readers.read() as reader:
        return await ask_views.list_asks(reader, caller, request)


async def explain_ask(
    office: Office, _hub: Hub, _line: Connection, caller: Caller, request: finding.AsksExplain
) -> Result:
    """Tell the story of an ask."""
    async with office.readers.read() as reader:
        return await ask_views.explain(reader, caller, request, office.clock.now_ms())


async def list_reminders(
    office: Office, _hub: Hub, _line: Connection, caller: Caller, request: reminders.RemindersList
) -> Result:
    """List reminders."""
    async with office.readers.read() as reader:
        return await reminder_views.list_reminders(reader, caller, request)


async def reminder_stats(
    office: Office, _hub: Hub, _line: Connection, caller: Caller, request: reminders.RemindersStats
) -> Result:
    """Count what reminders delivered."""
    async with office.readers.read() as reader:
        return await reminder_views.stats(reader, caller, request, office.clock.now_ms())


async def explain_reminder(
    office: Office, _hub: Hub, _line: Connection, caller: Caller, request: finding.RemindersExplain
) -> Result:
    """Tell the story of a reminder."""
    async with office.readers.read() as reader:
        return await reminder_views.explain(reader, caller, request, office.clock.now_ms())
