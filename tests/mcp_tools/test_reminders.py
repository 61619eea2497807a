"""remind, list_my_reminders, cancel_reminder, in both protocol eras."""

import json
from typing import Any

import pytest
from mcp import Client

from mcp_tools import reminders
from mcp_tools.rendering import MAX_REPLY_BYTES, render_mail
from tests.fakes.desk import FakeDesk, letter
from tests.mcp_tools.reading import text_of
from wire.errors import Closed, Invalid, Limited, Unknown
from wire.inbox import About
from wire.reminders import (
    Reminder,
    RemindersAdd,
    RemindersAdded,
    RemindersCancel,
    RemindersChanged,
    RemindersList,
    RemindersListed,
)

AT_MS = 1_800_000_000_000
BUDGET = 330
"""Tokens that the three tools may cost."""


def reminder(number: int, **fields: Any) -> Reminder:
    """Make a reminder as the broker shows it."""
    common = {"agent": "alice", "message": "look", "state": "pending", "next_at_ms": AT_MS, "made_at_ms": AT_MS}
    return Reminder.model_validate({**common, "id": f"r{number}", **fields})


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"delay_seconds": 600}, {"delay_s": 600.0}),
        ({"delay_seconds": "0.5"}, {"delay_s": 0.5}),
        ({"at": "2027-02-01T09:00", "zone": "Europe/Berlin"}, {"at": "2027-02-01T09:00", "zone": "Europe/Berlin"}),
        ({"cron": "0 9 * * 1-5"}, {"cron": "0 9 * * 1-5"}),
    ],
)
async def test_remind_sets_a_reminder_and_says_when_it_comes(
    client: Client, desk: FakeDesk, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    """[H10] DESIGN 9: always for oneself."""
    desk.answers[RemindersAdd] = RemindersAdded(id="r4", next_at_ms=AT_MS)
    text = text_of(await client.call_tool("remind", {"message": "look", **arguments}))
    assert text == "r4 is set: it comes as mail at 2027-01-15T08:00Z"
    (request,) = desk.requests
    assert request.model_dump(exclude_defaults=True, exclude={"key"}) == {"message": "look", **sent}


@pytest.mark.parametrize(
    "refusal",
    [
        Invalid("give exactly one of delay, at and cron"),
        Limited("50 of 50 reminders wait; cancel_reminder frees a place"),
    ],
)
async def test_what_the_broker_refuses_is_said_in_its_words(
    client: Client, desk: FakeDesk, refusal: Invalid | Limited
) -> None:
    """[H11] DESIGN 5."""
    desk.answers[RemindersAdd] = refusal
    result = await client.call_tool("remind", {"message": "look", "delay_seconds": 1})
    assert result.is_error
    assert text_of(result) == f"{refusal.code}: {refusal.message}"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"delay_seconds": 5}, "'message' is missing"),
        ({"message": "", "delay_seconds": 5}, "'message' is refused"),
        ({"message": "x", "delay_seconds": -1}, "'delay_seconds' is refused"),
        ({"message": "x", "delay_seconds": "soon"}, "'delay_seconds' has to be a number"),
        ({"message": "x", "delay_seconds": 1, "agent": "bob"}, "'agent' is not an argument of this tool"),
    ],
)
async def test_bad_arguments_get_a_sentence(
    client: Client, desk: FakeDesk, arguments: dict[str, Any], complaint: str
) -> None:
    """[H10] Ours: before anything is asked of the broker."""
    result = await client.call_tool("remind", arguments)
    assert result.is_error
    assert text_of(result).startswith(f"invalid: {complaint}")
    assert not desk.requests


async def test_a_bound_of_the_broker_is_a_sentence_too(client: Client, desk: FakeDesk) -> None:
    """Ours: what only the request bounds."""
    for arguments in (
        {"at": "x" * 65},
        {"cron": "*" * 201},
        {"delay_seconds": 1e13},
        {"cron": "* * * * *", "zone": ""},
    ):
        result = await client.call_tool("remind", {"message": "x", **arguments})
        assert text_of(result).startswith("invalid: ")
    assert not desk.requests


async def test_what_waits_is_listed_line_by_line(client: Client, desk: FakeDesk) -> None:
    """[H09] DESIGN 9: one's own, the next one first; hidden characters are written out, a damaged one is shown."""
    desk.answers[RemindersList] = RemindersListed(
        reminders=[
            reminder(1, message="look\nat\u202e it"),
            reminder(2, cron="0 9 * * 1-5", zone="Europe/Berlin"),
            reminder(3, state="parked", reason="no zone 'Mars'", attempts=5),
            reminder(4, broken=True, message=""),
        ],
        more=True,
    )
    assert text_of(await client.call_tool("list_my_reminders", {})).splitlines() == [
        "r1 at 2027-01-15T08:00Z: look at\\u{202e} it",
        "r2 at 2027-01-15T08:00Z (cron 0 9 * * 1-5 Europe/Berlin): look",
        "r3 parked (no zone 'Mars'): look",
        "r4 at 2027-01-15T08:00Z: (broken: it cannot be read)",
        "(there are more)",
    ]
    desk.answers[RemindersList] = RemindersListed(reminders=[])
    assert text_of(await client.call_tool("list_my_reminders", {})) == "(no reminders)"


async def test_a_long_list_keeps_the_bound_of_a_reply(client: Client, desk: FakeDesk) -> None:
    """[P11] DESIGN 9: 24 KiB."""
    many = [reminder(number, message="\u202e" * 5000) for number in range(100)]
    desk.answers[RemindersList] = RemindersListed(reminders=many)
    assert len(text_of(await client.call_tool("list_my_reminders", {})).encode()) <= MAX_REPLY_BYTES


async def test_a_reminder_is_taken_back_by_its_id(client: Client, desk: FakeDesk) -> None:
    """[H09] DESIGN 9: another's id is as unknown as none."""
    desk.answers[RemindersCancel] = RemindersChanged(reminder=reminder(4, state="cancelled", next_at_ms=None))
    assert text_of(await client.call_tool("cancel_reminder", {"id": "r4"})) == "r4 is cancelled"
    for refusal in (Unknown("no reminder 'r5' that you may use; check the id"), Closed("r4 has fired already")):
        desk.answers[RemindersCancel] = refusal
        result = await client.call_tool("cancel_reminder", {"id": "r5"})
        assert result.is_error
        assert text_of(result) == f"{refusal.code}: {refusal.message}"


def test_the_mail_of_a_reminder_names_it_and_what_it_missed() -> None:
    """[H10] DESIGN 5."""
    about = About(reminder="r4", nominal_at_ms=AT_MS, missed=2)
    frame = render_mail(letter(9, "look", sender="reminder", kind="reminder", about=about), "b")
    assert frame.splitlines()[0] == '<mail-b id="m9" from="reminder" kind="reminder" reminder="r4" missed="2">'


def test_the_three_tools_cost_little() -> None:
    """[P11] DESIGN 9: characters/4 of what is listed of them."""
    listed = [tool.listed().model_dump(mode="json", by_alias=True, exclude_none=True) for tool in reminders.TOOLS]
    assert len(json.dumps(listed, separators=(",", ":"), ensure_ascii=False)) / 4 <= BUDGET
