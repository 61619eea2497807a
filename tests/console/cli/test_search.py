"""search: what was found, with the words in their place."""

import pytest
from inline_snapshot import snapshot

from console.cli import search as command
from console.cli.search import marked
from tests.console.conftest import NOW_MS, Terminal
from wire.errors import Invalid
from wire.finding import MARKS, Hit, InboxFound

OPENS, CLOSES = MARKS
HIT = Hit(
    id="m5",
    sender="alice",
    to="*",
    kind="peer",
    sent_at_ms=NOW_MS,
    snippet=f"…the {OPENS}red{CLOSES}\n{OPENS}pump{CLOSES} \\u{{1b}}[2J",
)


def test_marks_are_made_words_and_lines_one() -> None:
    """Ours: whatever stands around them."""
    assert marked(HIT.snippet, lambda word: f"<{word}>") == "…the <red> <pump> \\u{1b}[2J"
    assert marked("nothing marked", str.upper) == "nothing marked"
    assert marked("", str.upper) == ""


async def test_search_prints_its_stable_shape(terminal: Terminal) -> None:
    """Issue 3.5: a list, plain words in the snippet; empty where nothing was found."""
    terminal.broker.answers["inbox.search"] = lambda _: InboxFound(hits=[HIT])
    assert await terminal.json("search", "red", "pump") == snapshot(
        [
            {
                "id": "m5",
                "sender": "alice",
                "to": "*",
                "kind": "peer",
                "sent_at": "2027-01-15T08:00:00.000Z",
                "snippet": "…the red pump \\u{1b}[2J",
            }
        ]
    )
    asked = await terminal.broker.next("inbox.search")
    assert (asked["words"], asked.get("agent"), asked.get("limit", 20)) == ("red pump", None, 20)
    terminal.broker.answers["inbox.search"] = lambda _: InboxFound(hits=[])
    assert await terminal.json("search", "red") == []


async def test_a_person_sees_who_wrote_it_and_where(terminal: Terminal) -> None:
    """Issue 3.5: no colour without a terminal; more than the limit is said."""
    terminal.broker.answers["inbox.search"] = lambda _: InboxFound(hits=[HIT], more=True)
    result = await terminal.type("search", "red", "--agent", "alice", "--limit", "1")
    first, second = result.stdout.splitlines()
    assert first.startswith("m5  alice → *  ")
    assert second == "    …the red pump \\u{1b}[2J"
    assert "--limit 10" in result.stderr
    asked = await terminal.broker.next("inbox.search")
    assert (asked["agent"], asked["limit"]) == ("alice", 1)


async def test_nothing_found_is_said_and_no_error(terminal: Terminal) -> None:
    """Issue 3.5."""
    terminal.broker.answers["inbox.search"] = lambda _: InboxFound(hits=[])
    result = await terminal.type("search", "red", "pump")
    assert (result.exit_code, result.stdout) == (0, "no message holds red pump\n")


async def test_a_refusal_is_one_line(terminal: Terminal) -> None:
    """DESIGN 10: exit 1, whatever runs beside the question."""
    terminal.broker.answers["inbox.search"] = lambda _: Invalid("there is no word to look for")
    result = await terminal.type("search", "***")
    assert result.exit_code == 1
    assert result.stderr.endswith("queenpost: invalid: there is no word to look for\n")


async def test_a_long_search_says_why(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 10: a progress display on anything longer than a second."""
    monkeypatch.setattr(command, "SAY_AFTER_S", 0.0)
    said: list[str] = []
    monkeypatch.setattr(command, "note", said.append)

    def answer(_: object) -> InboxFound:
        return InboxFound(hits=[])

    terminal.broker.answers["inbox.search"] = answer
    assert (await terminal.type("search", "red")).exit_code == 0
    assert said == ["mail that came since the last search is read into the index…"]


async def test_words_are_needed(terminal: Terminal) -> None:
    """DESIGN 10: usage."""
    assert (await terminal.type("search")).exit_code == 2
    assert (await terminal.type("search", "x", "--limit", "201")).exit_code == 2
