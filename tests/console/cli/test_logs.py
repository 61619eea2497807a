"""logs: several files, one story."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.cli import main
from console.cli.logs import instant
from wire.errors import Invalid
from wire.home import Home


def write(folder: Path, program: str, *seconds: int, name: str | None = None) -> None:
    """Write one record for each second."""
    lines = [
        json.dumps(
            {
                "time": f"2030-01-01T00:00:{second:02}.000+00:00",
                "level": "info",
                "program": program,
                "event": f"event_{second}",
            }
        )
        for second in seconds
    ]
    (folder / (name or f"{program}.ndjson")).write_text("\n".join(lines) + "\n", encoding="utf-8")


def logs(home: Home, *words: str) -> Result:
    """Run `queenpost logs`."""
    return CliRunner().invoke(main, ["--home", str(home.root), "logs", *words])


def events(result: Result) -> list[str]:
    """Give the events of JSON lines, in their order."""
    return [json.loads(line)["event"] for line in result.stdout.splitlines()]


def test_programs_are_merged_by_time_with_what_was_rotated(home: Home) -> None:
    """Ours: the order in which it happened."""
    write(home.logs, "broker", 1, 2, name="broker.ndjson.1")
    write(home.logs, "broker", 5, 8)
    write(home.logs, "harness", 3, 6)
    write(home.logs, "up", 0, 9)
    assert events(logs(home, "--json")) == [f"event_{second}" for second in (0, 1, 2, 3, 5, 6, 8, 9)]


def test_one_program_alone(home: Home) -> None:
    """Ours: a harness that hosts only some agents has a file of its own, and belongs to `harness`."""
    write(home.logs, "broker", 1)
    write(home.logs, "harness", 2)
    write(home.logs, "harness-bob", 3)
    assert events(logs(home, "--json", "--program", "harness")) == ["event_2", "event_3"]


def test_the_last_lines_or_all_since(home: Home) -> None:
    """Ours."""
    write(home.logs, "broker", *range(10))
    assert events(logs(home, "--json", "-n", "2")) == ["event_8", "event_9"]
    assert events(logs(home, "--json", "--since", "2030-01-01T00:00:07Z")) == ["event_7", "event_8", "event_9"]


def test_a_terminal_gets_one_clear_line_each(home: Home) -> None:
    """Issue 2: structured in the file, readable on a terminal; a damaged line is shown as such."""
    write(home.logs, "broker", 1)
    with (home.logs / "broker.ndjson").open("a", encoding="utf-8") as file:
        file.write('{"time": "2030-01\n')
    first, second = logs(home).stdout.splitlines()
    assert first.endswith("info     broker  event 1")
    assert "damaged line" in second


def test_no_log_yet_is_no_error(home: Home) -> None:
    """Ours: a fleet that never ran."""
    result = logs(home)
    assert (result.exit_code, result.stdout) == (0, "")


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


@pytest.mark.parametrize("text", ["", "soon", "10 parsecs", "9999999d", "2029-13-01"])
def test_another_since_is_refused(text: str) -> None:
    """Ours: with examples of what would do."""
    with pytest.raises(Invalid, match="10m"):
        instant(text, datetime(2030, 1, 1, tzinfo=UTC))
