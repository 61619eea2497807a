"""docs/features.md and the tests say the same, in both directions."""

from tests.architecture.features import RECORD, brought_up_to_date, rows, shown_by

SERIES = {"H": 39, "X": 22, "C": 38, "M": 8, "S": 8, "N": 4, "P": 15, "Z": 9}
"""How many rows each series has."""


def test_the_record_names_the_tests_as_they_are() -> None:
    """Ours: after a test was added, renamed or taken away, `make features`."""
    record = RECORD.read_text(encoding="utf-8")
    assert record == brought_up_to_date(record, shown_by()), "out of step: make features"


def test_no_test_names_a_row_that_is_not_there() -> None:
    """Ours: a mistyped id shows nothing."""
    unknown = {row_id: tests for row_id, tests in shown_by().items() if row_id not in _rows()}
    assert not unknown


def test_no_row_got_lost() -> None:
    """Ours: a row may be reworded, never dropped."""
    expected = [
        f"{letter}{number:02}" if letter in "HXCP" else f"{letter}{number}"
        for letter, count in SERIES.items()
        for number in range(1, count + 1)
    ]
    assert sorted(_rows()) == sorted(expected)


def test_every_row_says_something() -> None:
    """Ours: one line in plain words."""
    silent = [row_id for row_id, what in _rows().items() if len(what) < len("an honest line")]
    assert not silent


def _rows() -> dict[str, str]:
    return rows(RECORD.read_text(encoding="utf-8"))
