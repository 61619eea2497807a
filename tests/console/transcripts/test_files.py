"""The files of transcripts: which turn is the newest, and lines that come while one looks."""

import os
from pathlib import Path

from console.transcripts.files import Tail, turns_in


def write(folder: Path, turn: str, text: str, *, at: int = 0) -> None:
    """Add to a transcript; `at` is when, in seconds."""
    with (folder / f"{turn}.log").open("a", encoding="utf-8") as file:
        file.write(text)
    if at:
        os.utime(folder / f"{turn}.log", (at, at))


def test_the_newest_is_the_one_that_was_written_last(tmp_path: Path) -> None:
    """Ours: after a backup was restored, turns are counted from a lower number; in one instant, the number tells."""
    for turn, at in (("t9", 100), ("t10", 100), ("t11", 50), ("t3", 200)):
        write(tmp_path, turn, "x", at=at)
    write(tmp_path, "other", "x")
    write(tmp_path, "t0", "x")
    assert turns_in(tmp_path) == ["t11", "t9", "t10", "t3"]
    assert turns_in(tmp_path / "nowhere") == []


def test_a_line_is_given_when_it_is_whole(tmp_path: Path) -> None:
    """Ours: also where a character of several bytes is written in two halves."""
    tail = Tail(tmp_path, "t1")
    assert tail.new() == []
    write(tmp_path, "t1", "one\ntw")
    assert tail.new() == ["one"]
    half = "ö\n".encode()
    with (tmp_path / "t1.log").open("ab") as file:
        file.write(b"o" + half[:1])
    assert tail.new() == []
    with (tmp_path / "t1.log").open("ab") as file:
        file.write(half[1:] + b"\xff\r\nrest")
    assert tail.new() == ["twoö", "\N{REPLACEMENT CHARACTER}"]
    assert tail.rest() == ["rest"]
    assert tail.rest() == []


def test_a_file_that_is_gone_has_no_lines(tmp_path: Path) -> None:
    """Ours: only the newest turns are kept."""
    write(tmp_path, "t1", "one\n")
    tail = Tail(tmp_path, "t1")
    (tmp_path / "t1.log").unlink()
    assert tail.new() == []
