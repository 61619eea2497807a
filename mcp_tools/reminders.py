"""The tools of reminders: remind, list_my_reminders, cancel_reminder. A reminder comes back as mail."""

from typing import Annotated

from pydantic import Field

from mcp_tools.rendering import excerpt, instant, within_reply
from mcp_tools.tool import Arguments, Call, Tool
from wire.client import new_key
from wire.reminders import (
    Reminder,
    ReminderRef,
    RemindersAdd,
    RemindersAdded,
    RemindersCancel,
    RemindersChanged,
    RemindersList,
    RemindersListed,
)


class Remind(Arguments):
    """Arguments of remind."""

    message: Annotated[str, Field(min_length=1)]
    delay_seconds: Annotated[float | None, Field(ge=0)] = None
    at: str | None = None
    cron: str | None = None
    zone: str | None = None


class Which(Arguments):
    """The id of one reminder."""

    id: ReminderRef


class Nothing(Arguments):
    """No arguments."""


async def remind(call: Call, arguments: Remind) -> str:
    """Set a reminder to oneself."""
    request = RemindersAdd(
        key=new_key(),
        message=arguments.message,
        delay_s=arguments.delay_seconds,
        at=arguments.at,
        cron=arguments.cron,
        zone=arguments.zone,
    )
    added = await call.desk.call(request, RemindersAdded)
    return f"{added.id} is set: it comes as mail at {instant(added.next_at_ms)}"


async def list_my_reminders(call: Call, _: Nothing) -> str:
    """Show the reminders that wait, the next one first."""
    listed = await call.desk.call(RemindersList(), RemindersListed)
    lines = [_line(one) for one in listed.reminders] or ["(no reminders)"]
    return within_reply([*lines, *(["(there are more)"] if listed.more else [])])


def _line(one: Reminder) -> str:
    at = instant(one.next_at_ms) if one.next_at_ms is not None else ""
    when = f"parked ({excerpt(one.reason or '')})" if one.state == "parked" else f"at {at}"
    cron = f" (cron {excerpt(one.cron)} {excerpt(one.zone or 'UTC')})" if one.cron else ""
    return f"{one.id} {when}{cron}: {'(broken: it cannot be read)' if one.broken else excerpt(one.message)}"


async def cancel_reminder(call: Call, arguments: Which) -> str:
    """Take a reminder of one's own back."""
    changed = await call.desk.call(RemindersCancel(key=new_key(), reminder=arguments.id), RemindersChanged)
    return f"{changed.reminder.id} is cancelled"


TOOLS = (
    Tool(
        "remind",
        "Send yourself message later, as mail. Give one of delay_seconds, at (ISO 8601), cron "
        '("0 9 * * 1-5"). zone: for at and cron, such as Europe/Berlin; else UTC. missed="2" in the mail: two '
        "earlier times had passed unheard.",
        Remind,
        remind,
    ),
    Tool("list_my_reminders", "Your reminders that wait.", Nothing, list_my_reminders, reads_only=True),
    Tool("cancel_reminder", "Take a reminder of yours back.", Which, cancel_reminder),
)
