"""Reading and following log files across rotation."""

from pathlib import Path

from console.log_files import Follower, parse, programs_in, read_all, time_of


def line(second: int) -> str:
    """Make one record as it stands in a file."""
    return f'{{"time": "2030-01-01T00:00:{second:02}.000+00:00", "event": "e{second}"}}\n'


def append(path: Path, text: str) -> None:
    """Write as a program would: at the end."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def events(follower: Follower) -> list[object]:
    """Give what is new."""
    return [record["event"] for record in follower.new()]


def test_a_follower_gives_only_what_is_new_in_the_order_of_time(tmp_path: Path) -> None:
    """Ours: over all programs, and over one that starts later."""
    append(tmp_path / "broker.ndjson", line(0))
    follower = Follower(tmp_path)
    assert events(follower) == []
    append(tmp_path / "broker.ndjson", line(3))
    append(tmp_path / "up.ndjson", line(2))
    assert events(follower) == ["e2", "e3"]
    assert events(follower) == []
    follower.close()


def test_from_the_start_it_gives_all_there_is(tmp_path: Path) -> None:
    """Ours."""
    append(tmp_path / "broker.ndjson", line(0) + line(1))
    follower = Follower(tmp_path, ["broker"], from_start=True)
    assert events(follower) == ["e0", "e1"]
    follower.close()


def test_a_rotation_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """Ours: what was written to the old file before, and to the new one after."""
    path = tmp_path / "broker.ndjson"
    append(path, line(0))
    follower = Follower(tmp_path)
    append(path, line(1))
    path.rename(tmp_path / "broker.ndjson.1")
    append(path, line(2))
    assert events(follower) == ["e1", "e2"]
    append(path, line(3))
    assert events(follower) == ["e3"]
    follower.close()


def test_between_the_two_renames_nothing_is_wrong(tmp_path: Path) -> None:
    """Ours: for an instant there is no file of that name."""
    path = tmp_path / "broker.ndjson"
    append(path, line(0))
    follower = Follower(tmp_path)
    path.rename(tmp_path / "broker.ndjson.1")
    assert events(follower) == []
    append(path, line(1))
    assert events(follower) == ["e1"]
    follower.close()


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    """Ours: a record is given whole or not yet."""
    path = tmp_path / "broker.ndjson"
    follower = Follower(tmp_path)
    append(path, line(1)[:20])
    assert events(follower) == []
    append(path, line(1)[20:])
    assert events(follower) == ["e1"]
    follower.close()


def test_reading_merges_programs_and_rotated_files(tmp_path: Path) -> None:
    """Ours: `.4` is the oldest."""
    for name, seconds in (
        ("broker.ndjson.2", [0]),
        ("broker.ndjson.1", [2]),
        ("broker.ndjson", [4]),
        ("up.ndjson", [1, 3]),
    ):
        append(tmp_path / name, "".join(map(line, seconds)))
    assert [record["event"] for record in read_all(tmp_path)] == ["e0", "e1", "e2", "e3", "e4"]
    assert programs_in(tmp_path) == ["broker", "up"]


def test_a_damaged_line_is_a_record_that_says_so() -> None:
    """Ours: neither a crash nor silence; its text is bounded."""
    record = parse(b"\xff" * 10_000, "broker")
    assert record["event"] == "damaged_line"
    assert len(str(record["text"])) == 200
    assert time_of(record) == ""
    assert parse(b"[1, 2]", "broker")["event"] == "damaged_line"
