"""Civil time on paper: when a cron line fires, found by looking at every minute of every day.

It knows the lines that the acts use, spelled out; a line that it does not know is one that nobody can read.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
FARTHEST_DAYS = 50 * 366


class Line(NamedTuple):
    """What a cron line says; None: any."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...] = tuple(range(24))
    days: tuple[int, ...] | None = None
    months: tuple[int, ...] | None = None
    weekdays: tuple[int, ...] | None = None
    """As Python counts them: Monday is 0."""

    def is_on(self, day: date) -> bool:
        """Say whether it fires on a day at all."""
        by_date = self.days is None or day.day in self.days
        by_weekday = self.weekdays is None or day.weekday() in self.weekdays
        if self.days is not None and self.weekdays is not None:
            return (day.day in self.days or day.weekday() in self.weekdays) and self._in_month(day)
        return by_date and by_weekday and self._in_month(day)

    def _in_month(self, day: date) -> bool:
        return self.months is None or day.month in self.months


LINES: dict[str, Line] = {
    "*/20 0-3 * * *": Line((0, 20, 40), (0, 1, 2, 3)),
    "30 2 * * *": Line((30,), (2,)),
    "0 0,3 * * *": Line((0,), (0, 3)),
    "0 9 * * 1-5": Line((0,), (9,), weekdays=(0, 1, 2, 3, 4)),
    "15 1 1 * 0": Line((15,), (1,), days=(1,), weekdays=(6,)),
    "59 23 29 2 *": Line((59,), (23,), days=(29,), months=(2,)),
}


def instant_of(civil: datetime, zone: str) -> int:
    """Milliseconds of a civil time: the first coming of one that comes twice; the end of the gap that skips it."""
    while True:
        utc = civil.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        if utc.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == civil:
            return (utc - EPOCH) // MILLISECOND
        civil += timedelta(minutes=1)


@cache
def _on(cron: str, zone: str, day: date) -> tuple[int, ...]:
    line = LINES[cron]
    if not line.is_on(day):
        return ()
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  # a civil time
    minutes = [timedelta(hours=hour, minutes=minute) for hour in line.hours for minute in line.minutes]
    return tuple(sorted({instant_of(midnight + minute, zone) for minute in minutes}))


@cache
def _offset(zone: str, hour: int) -> timedelta | None:
    return datetime.fromtimestamp(hour * 3600, ZoneInfo(zone)).utcoffset()


def next_change(zone: str, instant: int) -> int | None:
    """The next full hour by UTC at which the clocks of a zone have changed, within a year."""
    first = instant // 3_600_000 + 1
    for day in range(366):
        hours = range(first + 24 * day, first + 24 * (day + 1))
        if _offset(zone, hours[0]) != _offset(zone, hours[-1] + 1):
            return (
                next(hour for hour in hours if _offset(zone, hour) != _offset(zone, hour + 1)) * 3_600_000 + 3_600_000
            )
    return None


def _after(cron: str, zone: str, instant: int) -> Iterator[int]:
    first = (EPOCH + instant * MILLISECOND).date() - timedelta(days=2)
    for number in range(FARTHEST_DAYS):
        for found in _on(cron, zone, first + timedelta(days=number)):
            if found > instant:
                yield found


def first_after(cron: str, zone: str, instant: int) -> int:
    """The first occurrence after an instant."""
    return next(_after(cron, zone, instant))


def come_by(cron: str, zone: str, first: int, now: int) -> list[int]:
    """Every occurrence from one that has come until now."""
    come: list[int] = []
    for found in _after(cron, zone, first - 1):
        if found > now:
            break
        come.append(found)
    return come
