"""Setting reminders, taking them back and trying them again; what is refused, and what is never limited."""

from datetime import datetime
from typing import Any

import pytest

from broker.services import reminders
from broker.services.callers import Caller, Rules
from tests.broker.services.refusals import refused
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from tests.fakes.reminding import adding, cancel, firings_of, mail_of, remind, retry, row_of
from wire.errors import Closed, Conflict, Denied, Full, Invalid, Limited, Unknown
from wire.inbox import About
from wire.reminders import BURST, MAX_AHEAD_S, MAX_ATTEMPTS, MAX_PENDING, RemindersAdded
from wire.settings import Limits

OWN = by_token("alice")
NOW = "2027-01-15T08:00:00Z"
"""What the clock of the office shows first."""


def fill(office: FakeOffice, count: int = MAX_PENDING) -> list[str]:
    """Set that many reminders as alice, slowly enough for her bucket."""
    ids: list[str] = []
    for _ in range(count):
        ids.append(remind(office, OWN, delay_s=86_400))
        office.pass_time(6)
    return ids


# --- setting ----------------------------------------------------------------------------------------


def test_a_delay_comes_back_as_mail_from_reminder(office: FakeOffice, alice: Caller) -> None:
    """[H10] DESIGN 5: to oneself, depth 0, in no order of a pair, behind what the operator sends."""
    set_at = office.clock.now_ms()
    assert remind(office, alice, "look at the queue", delay_s=600) == "r1"
    office.pass_time(599)
    assert office.open(alice) is None
    office.pass_time(1)
    (mail,) = office.opened(alice).mail
    assert (mail.sender, mail.kind, mail.body, mail.depth) == ("reminder", "reminder", "look at the queue", 0)
    assert mail.about == About(reminder="r1", nominal_at_ms=set_at + 600_000)
    delivery = office.delivery(mail.id, "alice")
    assert (delivery["rank"], delivery["in_order"], row_of(office, "r1")["state"]) == (1, 0, "done")


def test_a_parked_open_returns_when_a_reminder_fires(office: FakeOffice, alice: Caller) -> None:
    """[H10] DESIGN 5.2: firing and leasing share one commit; the timer is set to it."""
    remind(office, alice, delay_s=60)
    assert office.last.due_ms == office.clock.now_ms() + 60_000
    waiting = office.park_open(alice)
    office.pass_time(60)
    assert not waiting.waits


@pytest.mark.parametrize(
    ("when", "next_at"),
    [
        ({"delay_s": 90.5}, "2027-01-15T08:01:30.500"),
        ({"delay_s": 0.0}, "2027-01-15T08:00:00"),
        ({"at": "2027-01-15T08:00:00Z"}, "2027-01-15T08:00:00"),
        ({"at": "2027-03-28T02:30", "zone": "Europe/Berlin"}, "2027-03-28T01:00:00"),
        ({"at": "2027-10-31T02:30", "zone": "Europe/Berlin"}, "2027-10-31T00:30:00"),
        ({"at": "2027-06-01T09:00+02:00", "zone": "America/New_York"}, "2027-06-01T07:00:00"),
        ({"at": "2027-06-01T09:00"}, "2027-06-01T09:00:00"),
        ({"cron": "0 9 * * 1-5", "zone": "Europe/Berlin"}, "2027-01-18T08:00:00"),
        ({"cron": " 0   9 * * 1-5 "}, "2027-01-15T09:00:00"),
    ],
)
def test_a_delay_an_instant_or_a_cron_line(office: FakeOffice, when: dict[str, Any], next_at: str) -> None:
    """[H10] DESIGN 5: civil times are read in their zone, UTC unless one is named."""
    call = adding(office, OWN, **when)
    office.commit(call)
    expected = datetime.fromisoformat(f"{next_at}+00:00").timestamp() * 1000
    assert call.get() == RemindersAdded(id="r1", next_at_ms=int(expected))


@pytest.mark.parametrize(
    ("when", "word"),
    [
        ({}, "exactly one"),
        ({"delay_s": 1.0, "cron": "* * * * *"}, "exactly one"),
        ({"delay_s": 1.0, "at": NOW, "cron": "* * * * *"}, "exactly one"),
        ({"delay_s": 1.0, "zone": "UTC"}, "leave zone out"),
        ({"delay_s": MAX_AHEAD_S + 1.0}, "10 years"),
        ({"at": "2037-02-01T00:00Z"}, "10 years"),
        ({"at": "2027-01-15T07:59:59Z"}, f"now it is {NOW}"),
        ({"at": "soon"}, "ISO 8601"),
        ({"at": NOW, "zone": "Mars/Olympus"}, "Europe/Berlin or UTC"),
        ({"cron": "0 9 * * 1-5", "zone": "../etc/passwd"}, "Europe/Berlin or UTC"),
        ({"cron": "0 0 30 2 *"}, "never fires"),
        ({"cron": "0 0 9 * * 1-5"}, "five"),
        ({"cron": "@daily"}, "five"),
    ],
)
def test_what_makes_no_sense_is_refused(office: FakeOffice, when: dict[str, Any], word: str) -> None:
    """[H10] Issue 3: clear errors, nothing stored; the operator gets them too."""
    for caller in (OWN, OPERATOR_CALLER):
        assert word in refused(office, Invalid, lambda caller=caller: remind(office, caller, **when)).message


def test_a_text_that_is_too_long_is_refused(office: FakeOffice) -> None:
    """DESIGN 5.1: as a body is, in bytes."""
    office.rules = Rules(Limits(body_bytes=256))
    remind(office, OWN, "é" * 128, delay_s=1)
    assert "file" in refused(office, Invalid, lambda: remind(office, OWN, "é" * 129, delay_s=1)).message


def test_the_same_key_sets_one_reminder(office: FakeOffice) -> None:
    """[X03] DESIGN 4: the first answer again, and a conflict for other content."""
    assert remind(office, OWN, delay_s=1, key="k") == remind(office, OWN, delay_s=1, key="k") == "r1"
    refused(office, Conflict, lambda: remind(office, OWN, delay_s=2, key="k"))


def test_an_agent_reminds_nobody_else(office: FakeOffice) -> None:
    """[H10] DESIGN 5: a reminder goes around no allow-list; naming oneself is fine."""
    for other in ("bob", "operator", "nobody", "manager"):
        refused(office, Denied, lambda other=other: remind(office, OWN, delay_s=1, agent=other))
    assert remind(office, OWN, delay_s=1, agent="alice") == "r1"


def test_the_operator_reminds_an_agent_or_itself(office: FakeOffice) -> None:
    """[H10] DESIGN 10; audited."""
    assert remind(office, OPERATOR_CALLER, "restart the test", delay_s=60, agent="bob") == "r1"
    assert remind(office, OPERATOR_CALLER, "look in", delay_s=60) == "r2"
    office.pass_time(60)
    assert [body for body, _ in mail_of(office, "bob")] == ["restart the test"]
    assert [body for body, _ in mail_of(office, "operator")] == ["look in"]
    assert office.audited()[-2:] == [("operator", "reminder.set", "r1"), ("operator", "reminder.set", "r2")]
    refused(office, Unknown, lambda: remind(office, OPERATOR_CALLER, delay_s=1, agent="nobody"))


def test_a_removed_or_frozen_agent_sets_none(office: FakeOffice) -> None:
    """DESIGN 5.18."""
    office.damage("UPDATE agents SET frozen = 1 WHERE name = 'alice'")
    assert "thaw" in refused(office, Denied, lambda: remind(office, OWN, delay_s=1)).message
    assert remind(office, OPERATOR_CALLER, delay_s=1, agent="alice") == "r1"
    office.remove("bob")
    refused(office, Unknown, lambda: remind(office, by_token("bob"), delay_s=1))
    refused(office, Unknown, lambda: remind(office, OPERATOR_CALLER, delay_s=1, agent="bob"))


# --- limits -----------------------------------------------------------------------------------------


def test_the_51st_reminder_is_refused_with_the_count_and_the_limit(office: FakeOffice) -> None:
    """[H11] DESIGN 5: parked ones count, those that are over do not; the operator is exempt."""
    first, *_ = fill(office)
    office.damage("UPDATE reminders SET state = 'parked', due_at = NULL WHERE id = 2")
    error = refused(office, Limited, lambda: remind(office, OWN, delay_s=1))
    assert "50 of 50 reminders wait; cancel_reminder frees a place" in error.message
    assert remind(office, OPERATOR_CALLER, delay_s=86_400, agent="alice") == "r51"
    refused(office, Limited, lambda: remind(office, OWN, delay_s=1))
    cancel(office, OWN, first)
    cancel(office, OWN, "r51")
    assert remind(office, OWN, delay_s=1) == "r52"
    assert remind(office, by_token("bob"), delay_s=1) == "r53"


def test_a_burst_is_limited_and_says_how_long(office: FakeOffice) -> None:
    """[H11] DESIGN 5: 20 in a row, then 10 a minute; a refusal costs nothing."""
    for _ in range(BURST):
        remind(office, OWN, delay_s=86_400)
    error = refused(office, Limited, lambda: remind(office, OWN, delay_s=86_400))
    assert error.details["retry_after_ms"] == 6_001
    for _ in range(3):
        office.clock.advance(6_000)
        remind(office, OWN, delay_s=86_400)
        refused(office, Limited, lambda: remind(office, OWN, delay_s=86_400))
    for _ in range(BURST + 1):
        remind(office, OPERATOR_CALLER, delay_s=86_400)


def test_a_clock_that_is_set_back_empties_no_bucket(office: FakeOffice) -> None:
    """DESIGN 5.7: whether the broker ran meanwhile or not."""
    for _ in range(BURST):
        remind(office, OWN, delay_s=86_400)
    office.set_clock(-7_776_000_000)
    office.clock.advance(6_000)
    remind(office, OWN, delay_s=86_400)
    office.clock.advance(-7_776_000_000)
    office.restart()
    office.clock.advance(6_000)
    remind(office, OWN, delay_s=86_400)
    refused(office, Limited, lambda: remind(office, OWN, delay_s=86_400))


def test_an_agent_that_comes_back_has_a_full_bucket(office: FakeOffice) -> None:
    """DESIGN 5.14, ours: like that of its sends, it is not its predecessor's."""
    for _ in range(BURST):
        remind(office, OWN, delay_s=86_400)
    office.remove("alice")
    office.add("alice")
    for _ in range(BURST):
        remind(office, OWN, delay_s=86_400)
    refused(office, Limited, lambda: remind(office, OWN, delay_s=86_400))


def test_a_disk_that_is_nearly_full_admits_the_operators_only(office: FakeOffice) -> None:
    """DESIGN 5.14."""
    office.rules = Rules(Limits(), disk_free_bytes=1024)
    refused(office, Full, lambda: remind(office, OWN, delay_s=1))
    assert remind(office, OPERATOR_CALLER, delay_s=1, agent="alice") == "r1"


def test_a_full_inbox_holds_no_reminder_back(office: FakeOffice, alice: Caller) -> None:
    """DESIGN 5.14: firing uses reserved headroom; the counters stay true."""
    office.rules = Rules(Limits(inbox_messages=1))
    office.send(by_token("bob"), "alice")
    remind(office, alice, delay_s=1)
    remind(office, alice, delay_s=1)
    office.pass_time(1)
    counted = office.row("SELECT inbox_messages, inbox_bytes FROM agents WHERE name = 'alice'")
    true = office.row("SELECT count(*) AS n, sum(bytes) AS size FROM deliveries WHERE recipient = 'alice'")
    assert tuple(counted) == tuple(true) == (3, true["size"])
    refused(office, Full, lambda: office.send(by_token("bob"), "alice"))


# --- taking back ------------------------------------------------------------------------------------


def test_what_was_taken_back_does_not_fire(office: FakeOffice) -> None:
    """[H09] DESIGN 5."""
    remind(office, OWN, delay_s=60)
    shown = cancel(office, OWN, "r1")
    assert (shown.state, shown.next_at_ms, shown.reason) == ("cancelled", None, "cancelled by alice")
    assert office.last.due_ms is None
    office.pass_time(3600)
    assert mail_of(office, "alice") == []


def test_a_foreign_reminder_is_as_unknown_as_none(office: FakeOffice) -> None:
    """[H09] DESIGN 5: no leak of what exists; the operator may take any."""
    remind(office, OWN, delay_s=60)
    bob = by_token("bob")
    for act in (cancel, retry):
        foreign = refused(office, Unknown, lambda act=act: act(office, bob, "r1")).message
        missing = refused(office, Unknown, lambda act=act: act(office, bob, "r7")).message
        assert foreign.replace("r1", "r7") == missing
        for wrong in ("m1", "r01", "r", "1", "r99999999999999999999"):
            refused(office, Unknown, lambda act=act, wrong=wrong: act(office, OPERATOR_CALLER, wrong))
    assert cancel(office, OPERATOR_CALLER, "r1").reason == "cancelled by operator"
    assert office.audited()[-1] == ("operator", "reminder.cancelled", "r1")


def test_what_is_over_says_how(office: FakeOffice) -> None:
    """[H09] Issue 3: cancelling what is gone."""
    remind(office, OWN, delay_s=0)
    remind(office, OWN, delay_s=60)
    office.due()
    cancel(office, OWN, "r2", key="k")
    assert "fired" in refused(office, Closed, lambda: cancel(office, OWN, "r1")).message
    assert "cancelled by alice" in refused(office, Closed, lambda: cancel(office, OWN, "r2")).message
    assert cancel(office, OWN, "r2", key="k").state == "cancelled"


def test_a_cron_line_that_was_taken_back_has_fired_what_it_fired(office: FakeOffice) -> None:
    """DESIGN 5."""
    remind(office, OWN, cron="* * * * *")
    for _ in range(3):
        office.pass_time(60)
    assert cancel(office, OWN, "r1").fired == 3
    office.pass_time(600)
    assert len(firings_of(office, "r1")) == 3


def test_the_reminders_of_a_removed_agent_go_with_it(office: FakeOffice) -> None:
    """DESIGN 5.18: parked ones too, nobody else's."""
    for _ in range(2):
        remind(office, OWN, delay_s=60)
    remind(office, by_token("bob"), delay_s=60)
    office.damage("UPDATE reminders SET state = 'parked', due_at = NULL WHERE id = 2")
    assert office.do(lambda tx: reminders.cancel_of_agent(tx, "alice")) == 2
    assert office.do(lambda tx: reminders.cancel_of_agent(tx, "alice")) == 0
    rows = office.rows("SELECT agent, state, reason FROM reminders ORDER BY id")
    gone = ("alice", "cancelled", "alice was removed from the fleet")
    assert [tuple(row) for row in rows] == [gone, gone, ("bob", "pending", None)]


# --- trying again -----------------------------------------------------------------------------------


def test_a_parked_reminder_fires_after_a_retry(office: FakeOffice) -> None:
    """[H11] DESIGN 5: a fresh budget, and at once if it is due."""
    remind(office, OWN, "the text", delay_s=60)
    office.damage("UPDATE reminders SET body = 'damaged'")
    office.pass_time(60)
    for seconds in (1, 4, 16, 64):
        office.pass_time(seconds)
    row = row_of(office, "r1")
    assert (row["state"], row["attempts"], row["due_at"]) == ("parked", MAX_ATTEMPTS, None)
    office.damage("UPDATE reminders SET body = 'the text'")
    shown = retry(office, OWN, "r1")
    assert (shown.state, shown.attempts, shown.reason) == ("pending", 0, None)
    office.due()
    assert [body for body, _ in mail_of(office, "alice")] == ["the text"]


def test_only_a_parked_reminder_is_retried(office: FakeOffice) -> None:
    """[H11] Issue 3: the answer says what it is."""
    remind(office, OWN, delay_s=60)
    assert "r1 is pending" in refused(office, Conflict, lambda: retry(office, OWN, "r1")).message
    cancel(office, OWN, "r1")
    assert "r1 is cancelled" in refused(office, Conflict, lambda: retry(office, OPERATOR_CALLER, "r1")).message


def test_setting_and_taking_back_cost_8_statements_at_most(office: FakeOffice) -> None:
    """DESIGN 6."""
    call = adding(office, OWN, cron="0 9 * * 1-5", zone="Europe/Berlin")
    office.commit(call)
    assert call.statements <= 5
    call = adding(office, OPERATOR_CALLER, delay_s=5, agent="alice")
    office.commit(call)
    assert call.statements <= 5
