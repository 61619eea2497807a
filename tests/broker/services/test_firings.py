"""Firing: how many at a time, what was missed, what cannot fire, clocks that are set, and nothing twice."""

from datetime import datetime
from itertools import pairwise

import pytest

from broker.services import firings, wakeups
from broker.services.callers import Caller, Rules
from broker.store.tx import Row
from tests.broker.services.refusals import refused
from tests.fakes.office import OPERATOR_CALLER, Call, FakeOffice, by_token
from tests.fakes.reminding import TEXT, adding, cancel, drain, firings_of, mail_of, remind, retry, row_of
from wire.errors import Full
from wire.ids import message_id
from wire.reminders import MAX_ATTEMPTS, PER_TRANSACTION
from wire.settings import Limits

OWN = by_token("alice")
DAY_S = 86_400
DAY_MS = DAY_S * 1000
AGENTS = ("alice", "bob", "carol", "boss")


def at(text: str) -> int:
    """Read an instant in UTC, in milliseconds."""
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1000


def fired(office: FakeOffice, reminder: str) -> list[tuple[int, int]]:
    """Give (nominal instant, how many were missed before it) of every firing."""
    return [(row["nominal_at"], row["missed"]) for row in firings_of(office, reminder)]


def occurrences_are_mail(office: FakeOffice) -> None:
    """See that every firing has its mail and every mail its firing, and that the counters are true."""
    pairs = office.rows(
        "SELECT f.reminder, f.nominal_at FROM firings f JOIN messages m ON m.id = f.message "
        "JOIN deliveries d ON d.message = m.id AND d.recipient = f.agent WHERE m.kind = 'reminder'"
    )
    count = office.row(
        "SELECT (SELECT count(*) FROM firings) AS f, count(*) AS m FROM messages WHERE kind = 'reminder'"
    )
    assert len({tuple(pair) for pair in pairs}) == len(pairs) == count["f"] == count["m"]
    wrong = office.rows(
        "SELECT a.name FROM agents a WHERE a.inbox_messages <> (SELECT count(*) FROM deliveries d "
        "WHERE d.recipient = a.name AND d.state IN ('ready', 'leased', 'scheduled'))"
    )
    assert wrong == []


# --- how many at a time -----------------------------------------------------------------------------


def test_250_that_are_due_fire_in_transactions_of_100(office: FakeOffice) -> None:
    """[H11] DESIGN 5: 100, 100, 50; the longest due first, and the timer stays at once until all are done."""
    for number in range(250):
        remind(office, OPERATOR_CALLER, str(number), delay_s=1000 - number, agent=AGENTS[number % 4])
    office.clock.advance(1000 * 1000)
    assert drain(office) == [100, 100, 50]
    rows = office.rows("SELECT body FROM messages WHERE kind = 'reminder' ORDER BY id")
    assert [row["body"] for row in rows] == [str(number) for number in reversed(range(250))]
    assert office.last.due_ms is None
    occurrences_are_mail(office)


def test_more_that_are_due_are_said(office: FakeOffice) -> None:
    """[H13] DESIGN 5: so that whoever keeps the time can let others through between."""
    for _ in range(PER_TRANSACTION + 1):
        remind(office, OPERATOR_CALLER, delay_s=0, agent="alice")
    assert office.do(wakeups.run_due) is True
    assert office.do(wakeups.run_due) is False


def test_a_transaction_of_100_costs_what_one_of_1_costs(office: FakeOffice) -> None:
    """[H13] DESIGN 6: lists go into one statement each."""
    costs: list[int] = []
    for count in (1, 100):
        for number in range(count):
            remind(office, OPERATOR_CALLER, cron="* * * * *", agent=AGENTS[number % 4])
        office.clock.advance(60_000)
        call = Call(office, firings.fire_due)
        office.commit(call)
        assert call.get() == (1 if count == 1 else 100)
        costs.append(call.statements)
    assert costs[0] == costs[1] <= 8
    idle = Call(office, lambda tx: firings.fire_due(tx, 0))
    office.commit(idle)
    assert idle.statements == 1


def test_mail_of_others_in_the_same_commit_keeps_its_id(office: FakeOffice) -> None:
    """Ours: the ids of the mail are taken in one go, from those that come next."""
    for _ in range(3):
        remind(office, OPERATOR_CALLER, delay_s=0, agent="alice")
    before, due, after = office.send.call(OWN, "bob"), Call(office, wakeups.run_due), office.send.call(OWN, "bob")
    office.commit(before, due, after)
    assert (before.get().id, after.get().id) == ("m1", "m5")
    assert [row["message"] for row in office.rows("SELECT message FROM firings ORDER BY message")] == [2, 3, 4]
    assert message_id(6) == office.send(OWN, "bob").id


# --- what was missed --------------------------------------------------------------------------------


def test_missed_occurrences_fire_once(office: FakeOffice) -> None:
    """[H10] DESIGN 5: the latest one, with the number of those before it; then the next that lies ahead."""
    remind(office, OWN, cron="0 9 * * *", zone="Europe/Berlin")
    office.clock.advance(4 * DAY_MS)
    assert drain(office) == [1]
    assert fired(office, "r1") == [(at("2027-01-19T08:00:00"), 3)]
    ((_, about),) = mail_of(office, "alice")
    assert (about.missed, about.nominal_at_ms) == (3, at("2027-01-19T08:00:00"))
    assert row_of(office, "r1")["due_at"] == at("2027-01-20T08:00:00")
    office.pass_time(DAY_S)
    assert fired(office, "r1")[1:] == [(at("2027-01-20T08:00:00"), 0)]


def test_an_overdue_instant_fires_late_and_once(office: FakeOffice) -> None:
    """[H10] DESIGN 5: nothing else was missed by it."""
    remind(office, OWN, at="2027-02-01T00:00Z")
    office.clock.advance(365 * DAY_MS)
    assert drain(office) == [1]
    assert fired(office, "r1") == [(at("2027-02-01T00:00:00"), 0)]
    assert row_of(office, "r1")["state"] == "done"


def test_what_is_due_while_the_broker_is_down_fires_after_its_start(office: FakeOffice) -> None:
    """[H10] DESIGN 5: once, whatever ended the broker; a delay is by UTC then."""
    remind(office, OWN, "a delay", delay_s=3600)
    remind(office, OWN, "a line", cron="*/10 * * * *")
    remind(office, OWN, "later", delay_s=30 * DAY_S)
    office.clock.advance(2 * 3600 * 1000)
    office.restart()
    assert office.last.due_ms is not None
    drain(office)
    office.restart()
    drain(office)
    assert [(body, about.missed) for body, about in mail_of(office, "alice")] == [("a line", 11), ("a delay", 0)]
    assert row_of(office, "r3")["state"] == "pending"


def test_a_year_of_minutes_that_were_missed_is_one_mail(office: FakeOffice) -> None:
    """Ours: counted by days, in a moment."""
    remind(office, OWN, cron="* * * * *", zone="America/New_York")
    office.clock.advance(365 * DAY_MS)
    assert drain(office) == [1]
    ((nominal, missed),) = fired(office, "r1")
    assert (nominal, missed) == (office.clock.now_ms(), 365 * 1440 - 60 - 1)


# --- what cannot fire -------------------------------------------------------------------------------

BACKOFF_S = (1, 4, 16, 64)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("UPDATE reminders SET body = 'damaged' WHERE id = 1", "checksum"),
        ("UPDATE reminders SET body = CAST(x'ff' AS TEXT) WHERE id = 1", "checksum"),
        ("UPDATE reminders SET zone = 'Mars/Olympus' WHERE id = 1", "Mars/Olympus"),
        ("UPDATE reminders SET cron = 'every day' WHERE id = 1", "every day"),
        ("UPDATE reminders SET cron = CAST(x'ff' AS TEXT) WHERE id = 1", "cannot be read"),
        ("UPDATE reminders SET zone = CAST(x'ff' AS TEXT) WHERE id = 1", "cannot be read"),
    ],
)
def test_a_row_that_cannot_fire_is_tried_5_times_and_parked(office: FakeOffice, damage: str, reason: str) -> None:
    """[H11] DESIGN 5: with back-off; the others fire meanwhile; the operator is told once."""
    for _ in range(2):
        remind(office, OWN, cron="0 9 * * *")
    office.damage(damage)
    office.pass_time(3600)
    assert len(firings_of(office, "r2")) == 1
    for attempts, seconds in enumerate(BACKOFF_S, 1):
        row = row_of_damaged(office)
        assert (row["state"], row["attempts"]) == ("pending", attempts)
        assert row["due_at"] == office.clock.now_ms() + seconds * 1000
        office.pass_time(seconds)
    row = row_of_damaged(office)
    assert (row["state"], row["attempts"], row["due_at"]) == ("parked", MAX_ATTEMPTS, None)
    assert reason in row["reason"]
    (told,) = office.notices("operator")
    assert told.startswith("r1 of alice is parked after 5 attempts")
    assert "--retry r1" in told
    office.pass_time(10 * DAY_S)
    assert firings_of(office, "r1") == []
    occurrences_are_mail(office)


def row_of_damaged(office: FakeOffice) -> Row:
    """Give what is not damaged of the first row."""
    return office.row("SELECT state, attempts, due_at, reason FROM reminders WHERE id = 1")


def test_a_line_that_is_mended_says_what_it_missed(office: FakeOffice) -> None:
    """[H14] DESIGN 5: its firing remembers how many attempts it took."""
    remind(office, OWN, cron="* * * * *")
    office.damage("UPDATE reminders SET zone = 'Mars/Olympus'")
    office.pass_time(60)
    office.pass_time(1)
    office.damage("UPDATE reminders SET zone = 'UTC'")
    office.clock.advance(120_000)
    drain(office)
    (row,) = firings_of(office, "r1")
    assert (row["attempts"], row["missed"]) == (3, 2)
    assert (row_of(office, "r1")["attempts"], row_of(office, "r1")["reason"]) == (0, None)


def test_a_parked_line_that_is_retried_late_fires_once(office: FakeOffice) -> None:
    """[H11] DESIGN 5: with all that it missed."""
    remind(office, OWN, cron="0 9 * * *")
    office.damage("UPDATE reminders SET zone = 'Mars/Olympus'")
    office.pass_time(3600)
    for seconds in BACKOFF_S:
        office.pass_time(seconds)
    office.clock.advance(9 * DAY_MS)
    office.damage("UPDATE reminders SET zone = 'UTC'")
    retry(office, OWN, "r1")
    assert drain(office) == [1]
    assert fired(office, "r1") == [(at("2027-01-24T09:00:00"), 9)]


def test_many_damaged_rows_keep_nobody_waiting(office: FakeOffice) -> None:
    """Ours: a page of rows that fail goes behind what can fire."""
    for _ in range(PER_TRANSACTION):
        remind(office, OPERATOR_CALLER, delay_s=0, agent="bob")
    office.damage("UPDATE reminders SET body = 'damaged'")
    remind(office, OWN, "fine", delay_s=1)
    office.clock.advance(1000)
    for _ in range(2):
        office.due()
    assert [body for body, _ in mail_of(office, "alice")] == ["fine"]
    for seconds in BACKOFF_S:
        office.pass_time(seconds)
    assert office.row("SELECT count(*) AS n FROM reminders WHERE state = 'parked'")["n"] == PER_TRANSACTION
    office.pass_time(120)
    assert 1 <= len(office.notices("operator")) <= 3


def test_a_disk_that_is_full_loses_and_doubles_nothing(office: FakeOffice) -> None:
    """[H10] DESIGN 6: the whole command is undone, no attempt is counted, and it is due as before."""
    for _ in range(3):
        remind(office, OWN, "x" * 20_000, cron="* * * * *")
    office.clock.advance(60_000)
    before = office.contents()
    pages = office.row("SELECT page_count AS n FROM pragma_page_count()")["n"]
    office.damage(f"PRAGMA max_page_count = {pages}")
    for _ in range(3):
        refused(office, Full, lambda: office.do(wakeups.run_due))
        assert office.contents() == before
        assert office.last.due_ms == office.clock.now_ms()
    office.damage("PRAGMA max_page_count = 1000000")
    assert drain(office) == [3]
    assert [row["attempts"] for row in office.rows("SELECT attempts FROM firings")] == [1, 1, 1]
    occurrences_are_mail(office)


def test_an_occurrence_that_has_fired_never_does_again(office: FakeOffice) -> None:
    """[H10] Invariant 15: not even where a row was put back by hand; it goes on with the next."""
    remind(office, OWN, cron="0 9 * * *")
    office.pass_time(3600)
    fired_at = row_of(office, "r1")
    office.damage("UPDATE reminders SET nominal_at = nominal_at - :day, due_at = due_at - :day", day=DAY_MS)
    office.due()
    assert len(fired(office, "r1")) == 1
    again = row_of(office, "r1")
    assert (again["due_at"], again["fired"], again["state"]) == (fired_at["due_at"], 1, "pending")


# --- clocks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [-90 * DAY_S, -3600, -10, 10, 3600, 90 * DAY_S])
def test_a_delay_keeps_what_is_left_of_it_when_the_clock_is_set(office: FakeOffice, step_s: int) -> None:
    """[H10] DESIGN 5: elapsed time within a run of the broker, whatever the clock on the wall says."""
    remind(office, OWN, delay_s=600)
    office.pass_time(100)
    office.set_clock(step_s * 1000)
    office.due()
    office.pass_time(499)
    assert mail_of(office, "alice") == []
    office.pass_time(1)
    assert len(mail_of(office, "alice")) == 1


def test_a_delay_outlives_a_clock_that_is_set_back_and_put_right(office: FakeOffice) -> None:
    """[H10] DESIGN 5.7, ours: set before both, it is no newer than the second step, and does not fire early."""
    remind(office, OWN, delay_s=600)
    office.pass_time(100)
    office.set_clock(-3600 * 1000)
    office.set_clock(3600 * 1000)
    office.pass_time(499)
    assert mail_of(office, "alice") == []
    office.pass_time(1)
    assert len(mail_of(office, "alice")) == 1


def test_a_delay_outlives_a_clock_that_is_set_back_while_the_broker_is_down(office: FakeOffice) -> None:
    """[H10] DESIGN 5.7, ours: an hour longer, which nobody can know; a later step forward takes nothing of it."""
    remind(office, OWN, delay_s=600)
    office.clock.advance(-3600 * 1000)
    office.restart()
    office.set_clock(90 * DAY_MS)
    office.pass_time(3600 + 599)
    assert mail_of(office, "alice") == []
    office.pass_time(1)
    assert len(mail_of(office, "alice")) == 1


def test_a_parked_delay_is_overdue_whatever_the_clock_says(office: FakeOffice) -> None:
    """[H12] DESIGN 5.7, ours: it was due when it was parked, so a retry fires it at once."""
    remind(office, OWN, delay_s=5)
    office.damage("UPDATE reminders SET body = 'damaged'")
    for seconds in (5, *BACKOFF_S):
        office.pass_time(seconds)
    office.set_clock(-90 * DAY_MS)
    office.damage("UPDATE reminders SET body = :body", body=TEXT)
    assert retry(office, OWN, "r1").state == "pending"
    office.due()
    assert len(mail_of(office, "alice")) == 1


def test_a_civil_time_stays_what_it_is_when_the_clock_is_set(office: FakeOffice) -> None:
    """[H10] DESIGN 5: forward, what was jumped over fires once; backward, nothing fires a second time."""
    remind(office, OWN, "line", cron="0 9 * * *")
    remind(office, OWN, "once", at="2027-01-20T00:00Z")
    office.pass_time(3600)
    office.set_clock(10 * DAY_MS)
    drain(office)
    assert [(body, about.missed) for body, about in mail_of(office, "alice")] == [
        ("line", 0), ("line", 9), ("once", 0),
    ]  # fmt: skip
    office.set_clock(-20 * DAY_MS)
    for _ in range(30):
        office.pass_time(DAY_S)
    assert fired(office, "r1") == [
        (at("2027-01-15T09:00:00"), 0), (at("2027-01-25T09:00:00"), 9),
        *((at(f"2027-01-{day}T09:00:00"), 0) for day in range(26, 32)),
        *((at(f"2027-02-0{day}T09:00:00"), 0) for day in range(1, 5)),
    ]  # fmt: skip
    assert len(fired(office, "r2")) == 1


@pytest.mark.parametrize("step_ms", [-90 * DAY_MS, 90 * DAY_MS])
def test_a_delay_that_is_set_while_the_clock_is_set_does_not_wait_for_it(office: FakeOffice, step_ms: int) -> None:
    """Ours: it comes between the clock and the rows, and knows the new time already."""
    office.clock.step_wall(step_ms)
    step = office.clock.re_anchor()
    remind(office, OWN, delay_s=600)
    office.do(lambda tx: wakeups.clock_was_set(tx, step))
    assert row_of(office, "r1")["due_at"] == office.clock.now_ms() + 600_000


def test_90_days_of_clock_jumps_fire_each_occurrence_at_most_once(office: FakeOffice) -> None:
    """[H10] Invariant 15: to and fro over months; once the clock has been everywhere, everything has fired."""
    for cron in ("0 9 * * *", "30 2 * * *", "0 */6 * * *"):
        remind(office, OWN, cron=cron, zone="Europe/Berlin")
    remind(office, OWN, at="2027-02-15T12:00Z")
    remind(office, OWN, delay_s=5 * DAY_S)
    for days in (90, -90, 45, -45, 1, -1, 90, 90, -90, -90, 30, -30):
        office.set_clock(days * DAY_MS)
        drain(office)
        for _ in range(4):
            office.pass_time(6 * 3600)
        occurrences_are_mail(office)
    assert len(fired(office, "r5")) == len(fired(office, "r4")) == 1
    for reminder in ("r1", "r2", "r3"):
        steps = [nominal for nominal, _ in fired(office, reminder)]
        assert len(steps) > 2
        assert all(earlier < later for earlier, later in pairwise(steps))
        assert row_of(office, reminder)["due_at"] > steps[-1]


def test_a_day_of_each_act_at_random_keeps_mail_and_firings_in_step(office: FakeOffice) -> None:
    """[H10] Invariant 15, with cancels, restarts and leases in between; the counters stay those of the rows."""
    office.rules = Rules(Limits())
    carol = office.harness("carol")
    ids: list[str] = []
    for number in range(120):
        call = adding(office, by_token("carol"), cron=f"*/{number % 7 + 1} * * * *")
        office.commit(call)
        if call.outcome is not None and call.outcome.error is None:
            ids.append(call.get().id)
        if number % 5 == 0 and ids:
            cancel(office, by_token("carol"), ids.pop(0))
        if number % 11 == 0:
            office.restart()
            carol = office.harness("carol", takeover=True)
        office.pass_time(37)
        if (opened := office.open(carol)) is not None and opened.turn is not None:
            office.close(carol, opened.turn.id)
        occurrences_are_mail(office)
    assert office.row("SELECT count(*) AS n FROM firings")["n"] > 200


def test_stopped_and_paused_agents_collect(office: FakeOffice, alice: Caller) -> None:
    """[H10] DESIGN 5.18: the mail waits."""
    remind(office, alice, cron="* * * * *")
    office.pause("alice")
    for _ in range(3):
        office.pass_time(60)
    assert office.open(alice) is None
    office.resume_agent("alice")
    assert len(office.opened(alice).mail) == 3
