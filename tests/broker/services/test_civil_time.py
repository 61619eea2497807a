"""Zones, instants and cron lines, against an enumeration that walks the clock on the wall minute by minute."""

import random
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from broker.services.civil_time import iso_of, parse_at, schedule_of, zone_of
from wire.errors import Invalid

MINUTE_MS = 60_000
DAY_MS = 86_400_000
Matches = Callable[[datetime], bool]


def instant(text: str) -> int:
    """Read an instant in UTC, in milliseconds."""
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1000


@cache
def walk(zone: str, start_ms: int, end_ms: int) -> list[tuple[int, list[datetime]]]:
    """Walk the minutes from start to end: each civil minute comes once, when a clock in the zone first gets to it.

    What the clock jumps over comes at the minute that it jumps to; what it shows again has come already.
    """
    civil_zone = ZoneInfo(zone)

    def shown(at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms // 1000, civil_zone).replace(tzinfo=None)

    reached = max(shown(start_ms - back * MINUTE_MS) for back in range(1, 180))
    steps: list[tuple[int, list[datetime]]] = []
    for at_ms in range(start_ms, end_ms, MINUTE_MS):
        now = shown(at_ms)
        come = [reached + timedelta(minutes=n + 1) for n in range((now - reached) // timedelta(minutes=1))]
        reached = max(reached, now)
        steps.append((at_ms, come))
    return steps


def occurrences(zone: str, matches: Matches, start_ms: int, end_ms: int) -> list[int]:
    """Give the instants at which a civil minute came that matches."""
    return [at_ms for at_ms, come in walk(zone, start_ms, end_ms) if any(map(matches, come))]


def fired(cron: str, zone: str, start_ms: int, end_ms: int) -> list[int]:
    """Give the occurrences of a line from start to end, one after the other."""
    schedule = schedule_of(cron, zone)
    found: list[int] = []
    at_ms = schedule.after(start_ms - 1)
    while at_ms is not None and at_ms < end_ms:
        found.append(at_ms)
        at_ms = schedule.after(at_ms)
    return found


def is_weekday(at: datetime) -> bool:
    """Monday to Friday."""
    return at.weekday() < 5


LINES: dict[str, Matches] = {
    "*/10 * * * *": lambda at: at.minute % 10 == 0,
    "30 2 * * *": lambda at: (at.hour, at.minute) == (2, 30),
    "0 3 * * *": lambda at: (at.hour, at.minute) == (3, 0),
    "15,45 0-3 * * *": lambda at: at.minute in (15, 45) and at.hour <= 3,
    "0 0 * * *": lambda at: (at.hour, at.minute) == (0, 0),
    "30 23,0 * * *": lambda at: at.minute == 30 and at.hour in (23, 0),
    "59 1-2 * * 0": lambda at: at.minute == 59 and at.hour in (1, 2) and at.weekday() == 6,
    "5 */6 * * 1-5": lambda at: at.minute == 5 and at.hour % 6 == 0 and is_weekday(at),
}
CHANGES = [
    ("Europe/Berlin", "2027-03-28T01:00:00", "2027-10-31T01:00:00"),
    ("America/New_York", "2027-03-14T07:00:00", "2027-11-07T06:00:00"),
    ("Australia/Lord_Howe", "2027-10-02T15:30:00", "2027-04-03T15:00:00"),  # half an hour
    ("Africa/Casablanca", "2027-03-14T02:00:00", "2027-02-07T02:00:00"),  # Ramadan: back first
    ("America/Santiago", "2027-09-05T04:00:00", "2027-04-04T03:00:00"),  # at midnight
    ("Pacific/Apia", "2011-12-30T10:00:00", "2012-03-31T14:00:00"),  # a whole day was left out
]


@pytest.mark.parametrize("cron", LINES)
@pytest.mark.parametrize(("zone", "forth", "back"), CHANGES)
def test_each_civil_occurrence_around_a_clock_change_comes_once(cron: str, zone: str, forth: str, back: str) -> None:
    """[H10] DESIGN 5: a gap fires at the first valid instant, a fold once."""
    for change in (forth, back):
        middle = instant(change)
        start, end = middle - DAY_MS, middle + DAY_MS
        assert fired(cron, zone, start, end) == occurrences(zone, LINES[cron], start, end)


def test_the_changes_of_this_test_are_changes() -> None:
    """Ours: a zone whose rules were repealed would show nothing."""
    for zone, *changes in CHANGES:
        for change in changes:
            at = datetime.fromisoformat(f"{change}+00:00")
            before = (at - timedelta(minutes=1)).astimezone(ZoneInfo(zone)).utcoffset()
            assert before != at.astimezone(ZoneInfo(zone)).utcoffset(), (zone, change)


@pytest.mark.parametrize(("zone", "forth", "back"), CHANGES)
def test_what_is_due_is_counted_as_if_one_had_stood_by(zone: str, forth: str, back: str) -> None:
    """DESIGN 5: overdue ones fire once with missed=n, from wherever and to wherever the clock was looked at."""
    dice = random.Random(zone)
    for change in (forth, back):
        start, end = instant(change) - DAY_MS, instant(change) + DAY_MS
        for cron, matches in LINES.items():
            come = occurrences(zone, matches, start, end)
            for _ in range(20 if come else 0):
                first = dice.choice(come)
                now = dice.randrange(first, end)
                due = schedule_of(cron, zone).due(first, now)
                last, after = bisect_right(come, now) - 1, come[bisect_right(come, now) :]
                assert (due.nominal_ms, due.missed) == (come[last], last - come.index(first)), (cron, first, now)
                assert not after or due.next_ms == after[0], (cron, first, now)


def test_years_of_a_line_that_fires_every_minute_are_counted_exactly() -> None:
    """Ours: by days, not by steps; the hour that is skipped each spring is one occurrence, the one in autumn is one."""
    start = instant("2020-01-01T00:00:00")
    due = schedule_of("* * * * *", "Europe/Berlin").due(start, start + 3653 * DAY_MS)
    assert due.missed == 3653 * 1440 - 10 * 60
    assert schedule_of("* * * * *", "UTC").due(start, start + 3653 * DAY_MS).missed == 3653 * 1440


def test_a_rare_day_is_found() -> None:
    """Ours: up to 50 years ahead."""
    now = instant("2027-01-01T00:00:00")
    assert schedule_of("0 0 29 2 */7", "UTC").after(now) == instant("2032-02-29T00:00:00")
    assert schedule_of("0 12 L * *", "UTC").after(now) == instant("2027-01-31T12:00:00")


@pytest.mark.parametrize(
    "cron", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30,31 FEB *"]
)  # fmt: skip
def test_a_line_that_never_fires_is_refused(cron: str) -> None:
    """[H10] Issue 3: a cron that never fires."""
    with pytest.raises(Invalid, match="never fires"):
        schedule_of(cron, "UTC")


@pytest.mark.parametrize(
    "cron",
    ["", "@daily", "* * * *", "0 * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
     "5-1 * * * *", "*/0 * * * *", "x * * * *", ", * * * *", "* * ² * *", "1#2/3 * * * *", "* * * * L", "-1 * * * *"],
)  # fmt: skip
def test_what_is_no_cron_line_is_refused(cron: str) -> None:
    """[H10] Issue 3: a clear error that shows a right one."""
    with pytest.raises(Invalid, match=r"0 9 \* \* 1-5"):
        schedule_of(cron, "UTC")


@pytest.mark.parametrize(
    "zone",
    ["../etc/passwd", "/etc/localtime", "Europe", "Mars/Olympus", "europe/berlin", "", "localtime", "right/UTC",
     "Europe/Berlin\x00", "Europe//Berlin", "a" * 1000, "Europe/Berlin/../Rome", "posixrules", "tzdata.zi"],
)  # fmt: skip
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    """[H10] Issue 3: the name of no file is opened for it; the answer names an example."""
    with pytest.raises(Invalid, match="Europe/Berlin or UTC"):
        zone_of(zone)


@pytest.mark.parametrize(
    ("text", "zone", "instant_"),
    [
        ("2027-01-15T09:00:00Z", "UTC", "2027-01-15T09:00:00Z"),
        ("2027-01-15T09:00", "Europe/Berlin", "2027-01-15T08:00:00Z"),
        ("2027-01-15T09:00:00+05:30", "Europe/Berlin", "2027-01-15T03:30:00Z"),
        ("2027-01-15", "America/New_York", "2027-01-15T05:00:00Z"),
        ("2027-03-28T02:00", "Europe/Berlin", "2027-03-28T01:00:00Z"),
        ("2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:00:00Z"),
        ("2027-03-28T03:00", "Europe/Berlin", "2027-03-28T01:00:00Z"),
        ("2027-10-31T02:30", "Europe/Berlin", "2027-10-31T00:30:00Z"),
        ("2027-10-31T03:00", "Europe/Berlin", "2027-10-31T02:00:00Z"),
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T10:00:00Z"),
    ],
)
def test_an_instant_without_an_offset_is_civil_time(text: str, zone: str, instant_: str) -> None:
    """[H10] DESIGN 5: a time that is skipped is the first valid instant after it, one that comes twice the first."""
    assert iso_of(parse_at(text, zone)) == instant_


def test_fractions_are_kept_to_the_millisecond() -> None:
    """Ours: instants are integers of milliseconds."""
    assert parse_at("1970-01-01T00:00:01.0019Z", "UTC") == 1001
    assert parse_at("2027-03-28T02:30:00.250", "Europe/Berlin") == instant("2027-03-28T01:00:00")
    assert (
        datetime.fromtimestamp(parse_at("2027-03-28T01:30:00.250", "Europe/Berlin") / 1000, UTC).microsecond == 250_000
    )


@pytest.mark.parametrize(
    "text",
    ["tomorrow", "", "2027-13-01", "2027-02-30T00:00", "9", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59-23:59"],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """[H10] Ours: with one that is right."""
    with pytest.raises(Invalid, match="2027-01-15T09:00:00Z"):
        parse_at(text, "UTC")
