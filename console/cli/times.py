"""Instants in words for people, in ISO UTC for programs. Pure."""

from datetime import UTC, datetime

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
    for below, unit_ms, unit in _STEPS:
        if duration_ms < below:
            return f"{duration_ms // unit_ms} {unit}"
    return f"{duration_ms // 86_400_000} d"


def ago(at_ms: int, now_ms: int, *, absolute: bool = False) -> str:
    """Say when something was or will be, relative to now unless the caller wants it in full."""
    if absolute:
        return iso(at_ms)
    elapsed_ms = now_ms - at_ms
    if abs(elapsed_ms) < 1000:
        return "now"
    return f"{span(elapsed_ms)} ago" if elapsed_ms > 0 else f"in {span(-elapsed_ms)}"


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
