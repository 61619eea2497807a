"""One record, one readable line, whatever is in the record."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from wire.log_lines import render_line

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=timezone(timedelta(hours=1)))
RECORD: dict[str, Any] = {
    "time": "2026-11-20T12:34:56.789+00:00",
    "level": "info",
    "program": "harness",
    "logger": "turn_loop",
    "event": "turn_opened",
    "turn_id": "t7",
    "wait_s": 0.25,
}


def line(**fields: object) -> str:
    """Render the record with other fields, in black and white."""
    return render_line({**RECORD, **fields}, colour=False, now=NOW)


def test_a_line_has_time_level_who_event_and_fields() -> None:
    """Ours: the event in words, the time in the reader's zone."""
    assert line() == "13:34:56  info     harness.turn_loop  turn opened  turn_id=t7 wait_s=0.25"


def test_a_record_of_another_day_has_its_date() -> None:
    """Ours: `queenpost logs` reads files that are older than a day."""
    assert line(time="2026-11-19T22:59:00+00:00").startswith("2026-11-19 23:59:00  ")


def test_a_program_with_one_log_is_named_once() -> None:
    """Ours: `broker`, not `broker.broker`."""
    assert "  broker  " in line(program="broker", logger="broker")


def test_colours_are_there_when_asked_for() -> None:
    """Ours: level and keys; without them the text is the same."""
    coloured = render_line({**RECORD, "level": "error"}, colour=True, now=NOW)
    assert "\x1b[31merror  \x1b[0m" in coloured
    for code in ("\x1b[2m", "\x1b[31m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == line(level="error")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain/word-1.2", "plain/word-1.2"),
        ("two words", '"two words"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ("line\nbreak", '"line\\nbreak"'),
        ("\x1b[2J", '"\\u001b[2J"'),
        ("\u202eabc", '"\\u{202e}abc"'),
        ("\udc80", '"\\u{dc80}"'),
        (["m1", "m2"], "m1,m2"),
        (["two words", "m2"], '"two words",m2'),
        ([], "none"),
        ({"a": None}, '{"a": null}'),
        ("a b" * 100, '"' + ("a b" * 100)[:199] + "…"),
    ],
)
def test_a_value_can_neither_break_the_line_nor_move_the_cursor(value: object, shown: str) -> None:
    """Ours: names and reasons come from models and other people's programs."""
    assert line(turn_id=value).endswith(f"turn_id={shown} wait_s=0.25")


def test_what_has_no_value_is_left_out() -> None:
    """Ours: a line is for a person."""
    assert "turn_id" not in line(turn_id=None)


def test_a_traceback_stays_in_the_file() -> None:
    """Ours: one line each; what was raised is shown."""
    shown = line(exception="ValueError: no", traceback="Traceback …\n  File …")
    assert shown.endswith('exception="ValueError: no"')


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"time": 3, "level": None, "event": ["x"], "logger": 1},
        {"time": "9999-12-31T23:59:59+00:00", "event": "a\nb"},
        {"time": "yesterday", "level": "loud\x1b"},
    ],
)
def test_a_damaged_record_is_shown_as_far_as_it_goes(damaged: dict[str, Any]) -> None:
    """Ours: the reader of a log does not fall over one line of it."""
    shown = render_line(damaged, colour=True, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert "\n" not in shown
    assert shown
