"""The story in lines."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from console.demo.accident import Accident
from console.demo.telling import Telling, gist

BEGAN = datetime(2030, 1, 1, tzinfo=UTC)


def record(event: str, **fields: object) -> dict[str, object]:
    """Make a record of the broker's log, one second after the beginning."""
    time = (BEGAN + timedelta(seconds=1)).isoformat(timespec="milliseconds")
    return {"time": time, "level": "info", "program": "broker", "event": event, **fields}


def line(telling: Telling, event: str, body: str = "", **fields: object) -> str:
    """Give the line about a record, without colours."""
    return click.unstyle(telling.line(record(event, **fields), body) or "")


def test_a_message_says_from_whom_to_whom_and_what_about() -> None:
    """Ours."""
    told = line(Telling(BEGAN), "message_accepted", "Survey it", sender="operator", to="manager", message="m1")
    assert told == "  1.0 s  operator  → manager   m1   Survey it"


def test_mail_that_came_back_is_said_to_be_handed_out_again() -> None:
    """[H21] Shown as it happens: back in the inbox, then in a later turn."""
    telling = Telling(BEGAN)
    assert line(telling, "turn_opened", agent="worker-1", turn="t2", mail=["m2"]).endswith("turn t2 opens with m2")
    killed = telling.killing(Accident("worker-1", "t2", 42, ["m2"]), BEGAN + timedelta(seconds=2))
    assert click.unstyle(killed) == "  2.0 s  worker-1    program killed in the middle of turn t2 (kill -9 42)"
    crashed = line(telling, "turn_closed", agent="worker-1", turn="t2", outcome="crashed")
    assert crashed.endswith("turn t2 crashed, m2 back in the inbox")
    again = line(telling, "turn_opened", agent="worker-1", turn="t5", mail=["m2", "m9"])
    assert again.endswith("turn t5 opens with m2, m9, handed out again: m2")
    done = line(telling, "turn_closed", agent="worker-1", turn="t5", outcome="completed")
    assert done.endswith("turn t5 completed, m2, m9 handled")


def test_an_event_of_a_job_is_told_with_who_said_it() -> None:
    """Issue 5: as it is recorded; what it says is shown safely."""
    telling = Telling(BEGAN)
    assert line(telling, "job_claimed", subject="j-a", principal="agent:worker-1", epoch=1) == ""
    event: dict[str, object] = {"job": "j-a", "epoch": 1, "seq": 2, "verdict": "accepted"}
    said = line(telling, "job_event_recorded", "reading\x1b[2J 3 files", name="progress", **event)
    assert said == "  1.0 s  worker-1    job j-a progress: reading\\u{1b}[2J 3 files"
    assert line(telling, "job_event_recorded", "", name="started", **event).endswith("job j-a started")


def test_what_is_no_part_of_the_story_is_left_out() -> None:
    """Ours."""
    assert Telling(BEGAN).line(record("agent_attached", agent="x")) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("Survey the folder /srv", "Survey the folder /srv"),
        ("# Survey of x\n\n| a |", "Survey of x"),
        ('{"survey": "m1", "part": 0, "paths": ["a", "b"]}', "your part: 2 files to read"),
        ('{"survey": "m1", "files": 3, "facts": {}}', "what is in my 3 files"),
        ('{"survey": "m1", "file": "/srv/x"}', "(too long for a mail, so it is in a file)"),
        ("[1]", "[1]"),
        ("\x1b[2Jhi", "\\u{1b}[2Jhi"),
    ],
)
def test_the_gist_of_a_message(body: str, words: str) -> None:
    """Ours: in words, and safe."""
    assert gist(body) == words
