"""Civil time: reads zones, instants and cron lines, and says when a line fires. Pure.

A civil time that a clock change skips stands for the first valid instant after it, one that comes twice for its
first coming. So a later civil time never stands for an earlier instant, and several that stand for the same one
are one occurrence. cronsim says which days and which minutes of a day match; it never sees a zone.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC as UTC_TIME
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from wire.errors import Invalid

UTC = "UTC"
"""The zone of a civil time where none is named."""

_ZONE_NAME = re.compile(
    r"(?!(?:posix|right)/|(?:localtime|posixrules|Factory)$)[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}"
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # civil times have no zone until one is put to them
_DAY = timedelta(days=1)
_MINUTE_MS = 60_000


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """Find an IANA zone.

    Raises:
        Invalid: there is none of this name.
    """
    if _ZONE_NAME.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # OSError: a folder of zones, such as "Europe"
            pass
    raise Invalid(f"there is no zone {name[:64]!r}; give an IANA name, such as Europe/Berlin or UTC")


def iso_of(instant_ms: int) -> str:
    """Write an instant as people and models read it, to the second."""
    return f"{datetime.fromtimestamp(instant_ms // 1000, UTC_TIME):%Y-%m-%dT%H:%M:%SZ}"


def parse_at(text: str, zone_name: str) -> int:
    """Read an ISO 8601 instant; without an offset it is civil time in the zone. Gives milliseconds.

    Raises:
        Invalid: it is none, or there is no such zone.
    """
    zone = zone_of(zone_name)
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is not None:
            return (read.astimezone(UTC_TIME).replace(tzinfo=None) - _EPOCH) // timedelta(milliseconds=1)
        return _instant_of(read, zone)
    except (ValueError, OverflowError):
        raise Invalid(f"at {text[:64]!r} is no instant; write ISO 8601, such as 2027-01-15T09:00:00Z") from None


def _instant_of(civil: datetime, zone: ZoneInfo) -> int:
    """Give the instant that a civil time stands for, in milliseconds."""
    utc = civil.replace(tzinfo=zone).astimezone(UTC_TIME)
    naive = utc.replace(tzinfo=None)
    if utc.astimezone(zone).replace(tzinfo=None) == civil:
        return (naive - _EPOCH) // timedelta(milliseconds=1)
    return _end_of_gap(civil, zone) * 1000


def _end_of_gap(civil: datetime, zone: ZoneInfo) -> int:
    """Give the first second whose civil time is behind one that is skipped."""
    offset_after = civil.replace(tzinfo=zone, fold=1).utcoffset() or timedelta()
    offset_before = civil.replace(tzinfo=zone).utcoffset() or timedelta()
    before = (civil - offset_after - _EPOCH) // timedelta(seconds=1)
    behind = (civil - offset_before - _EPOCH) // timedelta(seconds=1) + 1
    while behind - before > 1:
        middle = (before + behind) // 2
        if _civil_at(middle, zone) > civil:
            behind = middle
        else:
            before = middle
    return behind


def _civil_at(second: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(second, zone).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Due:
    """What a line that is due has to do now."""

    nominal_ms: int
    """The latest occurrence that has come."""
    missed: int
    """How many came before it and have not fired."""
    next_ms: int | None
    """The first one that has not come; None: there is none within 50 years."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a cron line fires in a zone. Occurrences are instants in milliseconds, each later than the one before."""

    days: str
    """The cron line of its days: at midnight."""
    minutes: tuple[int, ...]
    """Of a day that matches, in their order."""
    zone: ZoneInfo

    def after(self, instant_ms: int) -> int | None:
        """Give the first occurrence after an instant; None: there is none within 50 years."""
        return self.due(instant_ms, instant_ms).next_ms

    def due(self, first_ms: int, now_ms: int) -> Due:
        """Say what is to be done where `first_ms` is due and everything before it is done.

        Years of a line that fires every minute are counted in milliseconds: day by day.
        """
        nominal_ms, missed = first_ms, 0
        for day in self._days_from(_civil_at(first_ms // 1000, self.zone).date()):
            instants = self._occurrences_on(day)
            low, high = bisect_right(instants, nominal_ms), bisect_right(instants, now_ms)
            if high > low:
                nominal_ms, missed = instants[high - 1], missed + high - low
            if max(low, high) < len(instants):
                return Due(nominal_ms, missed, instants[max(low, high)])
        return Due(nominal_ms, missed, None)

    def _days_from(self, first: date) -> Iterator[date]:
        start = datetime.combine(first, time()) - timedelta(seconds=1)
        return (midnight.date() for midnight in CronSim(self.days, start))

    def _occurrences_on(self, day: date) -> list[int]:
        midnight = datetime.combine(day, time())
        offset = midnight.replace(tzinfo=self.zone).utcoffset() or timedelta()
        if offset == (midnight + _DAY).replace(tzinfo=self.zone).utcoffset():  # the clock does not change on it
            start_ms = (midnight - offset - _EPOCH) // timedelta(milliseconds=1)
            return [start_ms + minute * _MINUTE_MS for minute in self.minutes]
        return sorted({_instant_of(midnight + timedelta(minutes=minute), self.zone) for minute in self.minutes})


@lru_cache(maxsize=1024)
def schedule_of(cron: str, zone_name: str) -> Schedule:
    """Read a cron line of five fields: minute, hour, day of the month, month, day of the week.

    Where both days are restricted, one of them is enough, as in Debian's cron.

    Raises:
        Invalid: it is none, it never fires, or there is no such zone.
    """
    zone = zone_of(zone_name)
    fields = cron.split()
    if len(fields) != 5:
        raise Invalid(
            f"cron {cron[:80]!r} has {len(fields)} fields; it takes five: minute hour day month weekday, "
            "such as '0 9 * * 1-5'"
        )
    minute, hour, day, month, weekday = fields
    days = f"0 0 {day} {month} {weekday}"
    if not _reads(f"{minute} {hour} {day} * {weekday}") or not _reads(f"0 0 * {month} *"):
        raise Invalid(
            f"cron {cron[:80]!r} is not understood; it takes minute hour day month weekday, such as '0 9 * * 1-5'"
        )
    if not _reads(days) or next(CronSim(days, datetime(2000, 1, 1)), None) is None:  # noqa: DTZ001  # any civil day
        raise Invalid(f"cron {cron[:80]!r} never fires: no month of it has such a day")
    return Schedule(days, _minutes_of_a_day(minute, hour), zone)


def _reads(cron: str) -> bool:
    try:
        CronSim(cron, _EPOCH)
    except CronSimError:
        return False
    return True


@lru_cache(maxsize=256)
def _minutes_of_a_day(minute: str, hour: str) -> tuple[int, ...]:
    minutes: list[int] = []
    for at in CronSim(f"{minute} {hour} * * *", _EPOCH - timedelta(seconds=1)):
        if at.date() != _EPOCH.date():
            break
        minutes.append(at.hour * 60 + at.minute)
    return tuple(minutes)
