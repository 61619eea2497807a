"""What passes, in lines."""

import click
import pytest

from console.live.story import MAIL_LINES, Story, letter
from tests.console.live.test_footer import NOW_MS, ask

SENT = {"event": "message_accepted", "sender": "manager", "to": "worker-1", "message": "m3"}


def plain(*lines: str | None) -> list[str]:
    """Take colours away."""
    return [click.unstyle(line or "") for line in lines]


def test_a_message_says_when_who_to_whom_and_what() -> None:
    """Issue 4, item 10: messages passing."""
    story = Story(NOW_MS)
    told = story.sent(NOW_MS + 65_000, SENT, "Fix the tests in src/\nThey fail.", 80)
    assert plain(told) == ["  1:05  manager    → worker-1   m3   Fix the tests in src/"]
    told = story.sent(NOW_MS, {**SENT, "sender": "operator"}, "Hi \x1b[2J", 80)
    assert plain(told) == ["  0:00  you        → worker-1   m3   Hi \\u{1b}[2J"]


def test_an_ask_is_shown_whole_where_it_does_not_fit() -> None:
    """[P06] Somebody has to decide about it."""
    story = Story(NOW_MS)
    (line,) = plain(*story.asked(ask(1, question="May I?"), 80))
    assert line == "  0:00  worker-1   → you        a1   May I?"
    long = plain(*story.asked(ask(2, question=f"May I run {'x' * 100}?"), 80))
    assert len(long[0]) <= 80
    assert f"        May I run {'x' * 100}?" in long


def test_only_a_turn_that_did_not_finish_is_told_of() -> None:
    """[P01] Its mail is back in the inbox; a finished one shows by its answers."""
    story = Story(NOW_MS)
    opened = story.opened(NOW_MS, {"agent": "bob", "turn": "t1", "mail": ["m1", "m2"]})
    assert plain(opened) == ["  0:00  bob          t1 begins with m1, m2"]
    ended = {"agent": "bob", "turn": "t1", "outcome": "rate_limited"}
    assert plain(story.ended(NOW_MS, ended, 80)) == [
        "  0:00  bob          turn t1 rate limited; m1, m2 back in the inbox"
    ]
    assert story.ended(NOW_MS, {**ended, "outcome": "completed"}, 80) is None


@pytest.mark.parametrize(("count", "cut"), [(MAIL_LINES, False), (MAIL_LINES + 2, True)])
def test_mail_to_the_operator_is_shown_as_it_was_written(count: int, *, cut: bool) -> None:
    """Ours: a very long one is cut, and it is said where the rest is."""
    shown = plain(*letter("\n".join(f"line {number} \x1b[0m" for number in range(count))))
    assert shown[1] == "        line 0 \\u{1b}[0m"
    assert ("queenpost inbox" in shown[-2]) is cut
    assert len(shown) == MAIL_LINES + 2 + cut


def test_a_name_keeps_its_colour() -> None:
    """Ours."""
    story = Story(NOW_MS)
    first = story.name("manager")
    assert story.name("worker-1") != first
    assert story.name("manager") == first
