"""Instants in words for people, in ISO UTC for programs. Pure."""

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}
_STEPS = ((60_000, 1000, "s"), (3_600_000, 60_000, "min"), (86_400_000, 3_600_000, "h"))


def iso(at_ms: int) -> str:
    """Write an instant as ISO 8601 in UTC, to the millisecond."""
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def maybe_iso(at_ms: int | None) -> str | None:
    """Write an instant that may be unset."""
    return None if at_ms is None else iso(at_ms)


def span(duration_ms: int) -> str:
    """Say a duration in its largest unit: `42 s`, `3 min`, `5 h`, `2 d`."""
    unit_ms, unit = _unit(duration_ms)
    return f"{duration_ms // unit_ms} {unit}"


def _unit(duration_ms: int) -> tuple[int, str]:
    return next(((unit_ms, unit) for below, unit_ms, unit in _STEPS if duration_ms < below), (86_400_000, "d"))


def ahead(duration_ms: int) -> str:
    """Say how long something still takes, to the nearest unit: what was set for ten minutes is not `9 min` at once."""
    unit_ms, _ = _unit(duration_ms)
    return span((duration_ms + unit_ms // 2) // unit_ms * unit_ms)


def ago(at_ms: int, now_ms: int, *, absolute: bool = False) -> str:
    """Say when something was or will be, relative to now unless the caller wants it in full."""
    if absolute:
        return iso(at_ms)
    elapsed_ms = now_ms - at_ms
    if abs(elapsed_ms) < 1000:
        return "now"
    return f"{span(elapsed_ms)} ago" if elapsed_ms > 0 else f"in {ahead(-elapsed_ms)}"


def moment(at_ms: int, since_ms: int, *, absolute: bool = False) -> str:
    """Say how long after its beginning something in a story happened: `+0.0 s`, `+1 min 05 s`."""
    if absolute:
        return iso(at_ms)
    elapsed_s = max(at_ms - since_ms, 0) / 1000
    if elapsed_s < 60:
        return f"+{elapsed_s:.1f} s"
    minutes, seconds = divmod(int(elapsed_s), 60)
    if minutes < 60:
        return f"+{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"+{hours} h {minutes:02} min"


def instant(text: str, now: datetime) -> datetime:
    """Read `10m` (that long ago) or an ISO time, in UTC; one without a zone is local.

    Raises:
        ValueError: neither; says what would do.
    """
    try:
        if match := re.fullmatch(r"(\d{1,6})\s*(s|m|min|h|d)", text.strip()):
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time; say 10m, 2h, 1d or 2030-01-31T12:00") from None
