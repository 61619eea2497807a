"""logs: several files, one story."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.cli import main
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


STORY = (
    ("broker", "00", "info", "message_accepted", {"message": "m1", "sender": "alice", "to": ["bob"]}),
    ("broker", "01", "info", "turn_opened", {"agent": "bob", "turn": "t1", "mail": ["m1"]}),
    ("broker", "02", "info", "turn_opened", {"agent": "carol", "turn": "t2", "mail": ["m2"]}),
    ("harness", "03", "warning", "agent_rests", {"agent": "bob", "turn": "t1", "reason": "Rate LIMIT"}),
    ("broker", "04", "info", "agent_paused", {"principal": "operator", "subject": "bob"}),
    ("broker", "05", "info", "message_recalled", {"message": "m9", "principal": "agent:bob", "recalled": ["m3/carol"]}),
    ("broker", "06", "error", "disk_nearly_full", {"free_bytes": 17}),
)


def tell(folder: Path) -> None:
    """Write a story into the logs of two programs; the oldest of it has been rotated away."""
    files: dict[str, list[str]] = {}
    for program, second, level, event, fields in STORY:
        name = f"{program}.ndjson" if second > "00" else f"{program}.ndjson.1"
        record = {"time": f"2030-01-01T00:00:{second}.000+00:00", "level": level, "program": program, "event": event}
        files.setdefault(name, []).append(json.dumps({**record, **fields}))
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (("--agent", "bob"), [0, 1, 3, 4, 5]),
        (("--agent", "alice"), [0]),
        (("--turn", "t1"), [1, 3]),
        (("--message", "m1"), [0, 1]),
        (("--message", "m3"), [5]),
        (("--level", "warning"), [3, 6]),
        (("--level", "debug"), [0, 1, 2, 3, 4, 5, 6]),
        (("--event", "turn_opened"), [1, 2]),
        (("--event", "message_*"), [0, 5]),
        (("--grep", "rate limit"), [3]),
        (("--grep", "free_bytes"), [6]),
        (("--since", "2030-01-01T00:00:04Z"), [4, 5, 6]),
        (("--agent", "bob", "--turn", "t1", "--level", "warning"), [3]),
        (("--agent", "bob", "--program", "broker", "--since", "2030-01-01T00:00:01Z"), [1, 4, 5]),
        (("--agent", "bob", "-n", "2"), [4, 5]),
        (("--agent", "dora"), []),
        (("--turn", "t11"), []),
    ],
)
def test_filters_choose_and_hold_together(home: Home, words: tuple[str, ...], seconds: list[int]) -> None:
    """Issue 3.5: by whom, turn, message, gravity, event, text, time and program; rotated files in their order."""
    tell(home.logs)
    assert events(logs(home, "--json", *words)) == [STORY[second][3] for second in seconds]


@pytest.mark.parametrize(
    "words",
    [
        ("--agent", "Bob"),
        ("--turn", "7"),
        ("--turn", "m7"),
        ("--message", "t7"),
        ("--message", "m0"),
        ("--level", "loud"),
        ("--event", "turn opened"),
        ("--since", "soon"),
        ("--program", "sh"),
        ("-n", "-1"),
    ],
)
def test_what_can_be_no_filter_is_a_mistake_in_usage(home: Home, words: tuple[str, ...]) -> None:
    """Issue 3.5: exit 2, with what would do; nothing is shown as if there were nothing."""
    result = logs(home, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words[0] in result.stderr


def test_a_damaged_line_is_not_hidden_by_a_time(home: Home) -> None:
    """[H22] Ours: when it was written nobody knows; how grave it is, one does."""
    (home.logs / "broker.ndjson").write_text('{"time": "2030-01\n', encoding="utf-8")
    assert events(logs(home, "--json", "--since", "1d", "--level", "error")) == ["damaged_line"]


def test_no_log_yet_is_no_error(home: Home) -> None:
    """Ours: a fleet that never ran."""
    result = logs(home)
    assert (result.exit_code, result.stdout) == (0, "")
