"""Times in words."""

import pytest

from console.cli.times import ago, iso, maybe_iso, moment, span

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
