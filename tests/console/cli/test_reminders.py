"""remind, reminders: what is asked of the broker, and what is printed."""

from typing import Any

import pytest
from inline_snapshot import snapshot

from tests.console.conftest import NOW_MS, Terminal
from wire.errors import Limited, Unknown
from wire.reminders import Reminder, RemindersAdded, RemindersChanged, RemindersListed


def reminder(number: int, **fields: Any) -> Reminder:
    """Make a reminder as the broker shows it."""
    common = {"agent": "bob", "message": "look", "state": "pending", "next_at_ms": NOW_MS, "made_at_ms": NOW_MS}
    return Reminder.model_validate({**common, "id": f"r{number}", **fields})


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("--in", "10m"), {"delay_s": 600.0}),
        (("--in", "90"), {"delay_s": 90.0}),
        (("--in", "1h30m"), {"delay_s": 5400.0}),
        (("--in", "0.5 s"), {"delay_s": 0.5}),
        (("--in", "2d 4h", "--agent", "bob"), {"delay_s": 187_200.0, "agent": "bob"}),
        (("--at", "2030-01-31T09:00", "--zone", "Europe/Berlin"), {"at": "2030-01-31T09:00", "zone": "Europe/Berlin"}),
        (("--cron", "0 9 * * 1-5", "--key", "k"), {"cron": "0 9 * * 1-5", "key": "k"}),
    ],
)
async def test_remind_says_when(terminal: Terminal, words: tuple[str, ...], sent: dict[str, Any]) -> None:
    """[H10] DESIGN 10."""
    terminal.broker.answers["reminders.add"] = lambda _: RemindersAdded(id="r4", next_at_ms=NOW_MS)
    shown = await terminal.json("remind", "look", *words)
    assert shown == snapshot({"id": "r4", "next_at": "2027-01-15T08:00:00.000Z"})
    request = await terminal.broker.next("reminders.add")
    assert {name: request[name] for name in sent} == sent
    assert request["message"] == "look"
    result = await terminal.type("remind", "look", *words)
    assert "2027-01-15T08:00:00.000Z" in result.stdout
    assert result.stdout.startswith("r4: first " if "--cron" in words else "r4: ")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--in", "10m", "--cron", "* * * * *"),
        ("--in", "soon"),
        ("--in", "10x"),
        ("--in", "-5"),
        ("--in", "m"),
    ],
)
async def test_a_time_that_is_none_or_two_is_a_usage_error(terminal: Terminal, words: tuple[str, ...]) -> None:
    """[H10] DESIGN 10: exit 2, nothing is asked."""
    result = await terminal.type("remind", "look", *words)
    assert (result.exit_code, result.stdout) == (2, "")


async def test_what_the_broker_refuses_is_one_line(terminal: Terminal) -> None:
    """[H11] DESIGN 10: exit 1."""
    terminal.broker.answers["reminders.add"] = lambda _: Limited("50 of 50 reminders wait")
    result = await terminal.type("remind", "look", "--in", "1m")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "50 of 50 reminders wait" in result.stderr
    assert (await terminal.type("remind", "", "--in", "1m")).exit_code == 1


async def test_reminders_are_listed(terminal: Terminal) -> None:
    """[H09] DESIGN 10: with the reason why one is parked; what a terminal would obey is written out."""
    rows = [
        reminder(1, message="look\x1b[2J at it", cron="0 9 * * 1-5", zone="Europe/Berlin"),
        reminder(2, state="parked", attempts=5, reason="no zone 'Mars'"),
        reminder(3, state="done", next_at_ms=None, fired=1, broken=True, message=""),
    ]
    terminal.broker.answers["reminders.list"] = lambda _: RemindersListed(reminders=rows)
    (first, second, _) = await terminal.json("reminders", "--all", "--agent", "bob")
    request = await terminal.broker.next("reminders.list")
    assert (request["agent"], request["all"]) == ("bob", True)
    assert first["cron"] == "0 9 * * 1-5"
    assert second == snapshot(
        {
            "id": "r2",
            "agent": "bob",
            "message": "look",
            "state": "parked",
            "next_at": "2027-01-15T08:00:00.000Z",
            "cron": None,
            "zone": None,
            "fired": 0,
            "attempts": 5,
            "reason": "no zone 'Mars'",
            "broken": False,
        }
    )
    shown = (await terminal.type("reminders")).stdout
    assert "\x1b[2J" not in shown
    assert "no zone 'Mars'" in shown
    assert "broken" in shown


async def test_no_reminders_is_said(terminal: Terminal) -> None:
    """Ours."""
    terminal.broker.answers["reminders.list"] = lambda _: RemindersListed(reminders=[])
    assert (await terminal.type("reminders")).stdout == "no reminders wait\n"
    assert await terminal.json("reminders") == []


async def test_a_listing_goes_on_to_its_limit(terminal: Terminal) -> None:
    """Ours: a page may be short of what was asked for."""
    terminal.broker.answers["reminders.list"] = lambda request: RemindersListed(
        reminders=[reminder(2)] if request.get("after") else [reminder(1)], more=True
    )
    result = await terminal.type("reminders", "--limit", "2")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ID", "r1", "r2"]
    assert "--limit 20" in result.stderr


async def test_several_are_taken_back_or_tried_again(terminal: Terminal) -> None:
    """[H09] DESIGN 10: one after the other."""
    terminal.broker.answers["reminders.cancel"] = lambda request: RemindersChanged(
        reminder=reminder(int(request["reminder"][1:]), state="cancelled", next_at_ms=None)
    )
    terminal.broker.answers["reminders.retry"] = lambda request: RemindersChanged(
        reminder=reminder(int(request["reminder"][1:]))
    )
    result = await terminal.type("reminders", "--cancel", "r1", "r2", "r1", "--retry", "r3")
    assert result.stdout.splitlines() == ["r1: cancelled", "r2: cancelled", "r3: tried again"]
    assert [one["state"] for one in await terminal.json("reminders", "--cancel", "r4")] == ["cancelled"]


async def test_an_unknown_id_is_refused(terminal: Terminal) -> None:
    """[H09] Issue 3: exit 1 with what to do."""
    terminal.broker.answers["reminders.cancel"] = lambda _: Unknown("no reminder 'r9' that you may use; check the id")
    result = await terminal.type("reminders", "--cancel", "r9")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "check the id" in result.stderr
