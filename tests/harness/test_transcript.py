"""Transcripts: bounded, masked, the newest only."""

import os
from pathlib import Path

from harness.transcript import KEPT, Transcript, prune

SECRET = "a-bearer-of-forty-three-characters-in-total"


def test_what_was_written_stands_in_a_private_file(tmp_path: Path) -> None:
    """Ours: other users of the machine do not read what an agent says."""
    with Transcript(tmp_path, "t1") as transcript:
        transcript.write(b"one\n")
        transcript.write(b"two\n", "stderr")
    path = tmp_path / "t1.log"
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_flood_is_bounded_and_the_rest_is_counted(tmp_path: Path) -> None:
    """Ours: a program that prints without end fills neither memory nor disk."""
    with Transcript(tmp_path, "t1", cap_bytes=100) as transcript:
        for _ in range(50):
            transcript.write(b"x" * 10)
    text = (tmp_path / "t1.log").read_text()
    assert text == "x" * 100 + "\n[queenpost: 400 further bytes were not kept]\n"
    assert transcript.seen_bytes == 500


def test_a_secret_is_masked_wherever_it_is_cut(tmp_path: Path) -> None:
    """Ours: the bearer of the tools never stands in a transcript, though a pipe may cut it anywhere."""
    data = f"before {SECRET} after".encode()
    for cut in range(len(data)):
        with Transcript(tmp_path, f"t{cut}", secrets=[SECRET]) as transcript:
            transcript.write(data[:cut])
            transcript.write(data[cut:])
            words = transcript.last_words
        assert (tmp_path / f"t{cut}.log").read_bytes() == b"before [masked] after"
        assert words == "before [masked] after"


def test_the_beginning_of_a_secret_is_kept_when_nothing_follows(tmp_path: Path) -> None:
    """Ours: masking loses no output."""
    with Transcript(tmp_path, "t1", secrets=[SECRET]) as transcript:
        transcript.write(f"about {SECRET[:8]}".encode())
    assert (tmp_path / "t1.log").read_bytes() == f"about {SECRET[:8]}".encode()


def test_two_streams_do_not_tear_each_others_secrets(tmp_path: Path) -> None:
    """Ours: stderr in between does not hide the second half of a secret."""
    with Transcript(tmp_path, "t1", secrets=[SECRET]) as transcript:
        transcript.write(SECRET[:20].encode(), "stdout")
        transcript.write(b"noise\n", "stderr")
        transcript.write(SECRET[20:].encode(), "stdout")
    assert SECRET[20:].encode() not in (tmp_path / "t1.log").read_bytes()


def test_the_last_words_are_the_end_of_what_came(tmp_path: Path) -> None:
    """Ours: beyond the cap too."""
    with Transcript(tmp_path, "t1", cap_bytes=10) as transcript:
        transcript.write(b"x" * 10_000)
        transcript.write(b"\xffthe end\n")
        assert transcript.last_words.endswith("\ufffdthe end")


def test_only_the_newest_stay(tmp_path: Path) -> None:
    """Ours: fifty turns back."""
    for number in range(KEPT + 5):
        path = tmp_path / f"t{number}.log"
        path.touch()
        os.utime(path, ns=(number, number))
    prune(tmp_path, KEPT)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"t{number}.log" for number in range(5, KEPT + 5)}


def test_a_transcript_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    """Ours: a full disk or a missing folder is said, the turn goes on."""
    with Transcript(tmp_path / "missing", "t1") as transcript:
        transcript.write(b"hello\n")
        assert transcript.last_words == "hello"
    assert transcript.problem is not None
