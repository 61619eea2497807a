"""Times in words."""

from datetime import UTC, datetime

import pytest

from console.cli.times import ago, instant, iso, maybe_iso, moment, span

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("elapsed_ms", "words"),
    [
        (0, "now"),
        (999, "now"),
        (1000, "1 s ago"),
        (59_999, "59 s ago"),
        (60_000, "1 min ago"),
        (3_600_000, "1 h ago"),
        (86_400_000 * 400, "400 d ago"),
        (-5_000, "in 5 s"),
    ],
)
def test_ago(elapsed_ms: int, words: str) -> None:
    """Ours: the largest unit, no more."""
    assert ago(NOW_MS - elapsed_ms, NOW_MS) == words


def test_absolute_times_are_iso_in_utc() -> None:
    """DESIGN 10: to the millisecond, with a Z."""
    assert ago(NOW_MS, NOW_MS, absolute=True) == iso(NOW_MS) == "2027-01-15T08:00:00.000Z"
    assert moment(NOW_MS, 0, absolute=True) == iso(NOW_MS)
    assert maybe_iso(None) is None


@pytest.mark.parametrize(
    ("elapsed_ms", "words"),
    [(0, "+0.0 s"), (59_900, "+59.9 s"), (65_000, "+1 min 05 s"), (3_780_000, "+1 h 03 min"), (-5, "+0.0 s")],
)
def test_moment(elapsed_ms: int, words: str) -> None:
    """Ours: how far into its story."""
    assert moment(NOW_MS + elapsed_ms, NOW_MS) == words


def test_span() -> None:
    """Ours."""
    assert [span(number) for number in (500, 61_000, 7_200_000)] == ["0 s", "1 min", "2 h"]


@pytest.mark.parametrize(
    ("left_ms", "words"),
    [
        (599_400, "in 10 min"),
        (1_400, "in 1 s"),
        (86_399_000, "in 1 d"),
        (90_000_000, "in 1 d"),
        (7 * 86_399_999, "in 7 d"),
    ],
)
def test_what_lies_ahead_is_told_to_the_nearest_unit(left_ms: int, words: str) -> None:
    """Ours: what was set for ten minutes is not said to come in nine."""
    assert ago(NOW_MS + left_ms, NOW_MS) == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", datetime(2029, 12, 31, 23, 59, 30, tzinfo=UTC)),
        ("10m", datetime(2029, 12, 31, 23, 50, tzinfo=UTC)),
        ("2h", datetime(2029, 12, 31, 22, 0, tzinfo=UTC)),
        ("1d", datetime(2029, 12, 31, tzinfo=UTC)),
        ("2029-06-01T02:00:00+02:00", datetime(2029, 6, 1, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_time(text: str, expected: datetime) -> None:
    """Ours."""
    assert instant(text, datetime(2030, 1, 1, tzinfo=UTC)) == expected


@pytest.mark.parametrize("text", ["", "soon", "10 parsecs", "9999999d", "999999d", "2029-13-01"])
def test_another_since_is_refused(text: str) -> None:
    """Ours: with examples of what would do."""
    with pytest.raises(ValueError, match="10m"):
        instant(text, datetime(2030, 1, 1, tzinfo=UTC))
