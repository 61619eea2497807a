"""A year of reminders in zones that change their clocks, on a clock that only the test moves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.fakes.office import OPERATOR_CALLER, FakeOffice
from tests.fakes.reminding import remind

START_S = 1_800_000_000
"""Where a fake clock begins: 15 January 2027."""
YEAR_S = 366 * 86_400
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Santiago")
LINES: dict[str, Callable[[datetime], bool]] = {
    "30 2 * * *": lambda at: (at.hour, at.minute) == (2, 30),
    "0 0 * * 1-5": lambda at: (at.hour, at.minute) == (0, 0) and at.weekday() < 5,
    "*/20 0-3 * * SUN": lambda at: at.weekday() == 6 and at.hour <= 3 and at.minute % 20 == 0,
    "15 1,2 1 * *": lambda at: at.day == 1 and at.hour in (1, 2) and at.minute == 15,
}


def expected(zone: ZoneInfo) -> dict[str, list[int]]:
    """Walk a year in steps of five minutes: a civil time comes when a clock first shows it, or a later one.

    Every change and every line is at such a step, so nothing else has to be looked at.
    """
    found: dict[str, list[int]] = {cron: [] for cron in LINES}
    step = timedelta(minutes=5)
    reached = datetime.fromtimestamp(START_S, zone).replace(tzinfo=None)
    for at_s in range(START_S + 300, START_S + YEAR_S + 1, 300):
        shown = datetime.fromtimestamp(at_s, zone).replace(tzinfo=None)
        come: list[datetime] = []
        while reached < shown:
            reached += step
            come.append(reached)
        for cron, matches in LINES.items():
            if any(map(matches, come)):
                found[cron].append(at_s * 1000)
    return found


def test_a_year_in_five_zones_fires_each_civil_occurrence_exactly_once() -> None:
    """[H10] Issue 3: across every change of a clock; whoever keeps the time looks only when the timer says so."""
    with FakeOffice() as office:
        office.add("alice")
        lines: dict[str, tuple[str, str]] = {}
        for zone in ZONES:
            for cron in LINES:
                reminder = remind(office, OPERATOR_CALLER, f"{cron} {zone}", cron=cron, zone=zone, agent="alice")
                lines[reminder] = (zone, cron)
        end_ms = (START_S + YEAR_S) * 1000
        while office.last.due_ms is not None and office.last.due_ms <= end_ms:
            office.clock.advance(office.last.due_ms - office.clock.now_ms())
            office.due()
        civil = {zone: expected(ZoneInfo(zone)) for zone in ZONES}
        for reminder, (zone, cron) in lines.items():
            rows = office.rows(
                "SELECT f.nominal_at, f.fired_at, f.missed FROM firings f JOIN messages m ON m.id = f.message "
                "JOIN deliveries d ON d.message = m.id WHERE f.reminder = :id ORDER BY f.nominal_at",
                id=int(reminder[1:]),
            )
            assert [row["nominal_at"] for row in rows] == civil[zone][cron], (zone, cron)
            assert all(row["fired_at"] == row["nominal_at"] and row["missed"] == 0 for row in rows)
        assert office.row("SELECT count(*) AS n FROM firings")["n"] > 5000


def test_the_year_has_two_changes_in_each_zone() -> None:
    """Ours: else the year would show nothing."""
    for zone in map(ZoneInfo, ZONES):
        days = [datetime.fromtimestamp(START_S + day * 86_400, UTC).astimezone(zone) for day in range(366)]
        offsets = [day.utcoffset() for day in days]
        assert sum(a != b for a, b in pairwise(offsets)) >= 2
