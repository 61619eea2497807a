"""thread: a conversation as a tree."""

from inline_snapshot import snapshot

from console.cli.thread import DEEPEST, tree
from tests.console.conftest import NOW_MS, Terminal
from wire.errors import Unknown
from wire.finding import InboxThreaded, ThreadMessage


def message(number: int, parent: int | None = None, **fields: object) -> ThreadMessage:
    """Make a message of a thread."""
    given = {
        "id": f"m{number}",
        "parent": f"m{parent}" if parent else None,
        "sender": "alice",
        "to": "bob",
        "kind": "peer",
        "sent_at_ms": NOW_MS,
        "excerpt": f"text {number}",
        "states": {"bob": "handled"},
    }
    return ThreadMessage.model_validate({**given, **fields})


def drawn(*messages: ThreadMessage) -> list[str]:
    """Draw a tree of ids."""
    return [f"{prefix}{one.id}" for prefix, one in tree(list(messages))]


def test_answers_hang_below_what_they_answer() -> None:
    """[H05] Issue 3.5: in the order of sending, with lines that lead to them."""
    assert drawn(message(1), message(2, 1), message(3, 1), message(4, 2), message(5, 3), message(6, 1)) == snapshot(
        [
            "m1",
            "├── m2",
            "│   └── m4",
            "├── m3",
            "│   └── m5",
            "└── m6",
        ]
    )


def test_what_has_no_visible_parent_starts_a_tree() -> None:
    """Ours: an agent may see several pieces of one conversation."""
    assert drawn(message(2), message(3), message(5, 2)) == ["m2", "└── m5", "m3"]


def test_a_ring_shows_each_message_once() -> None:
    """Ours: only damage makes one."""
    assert drawn(message(1, 3), message(2, 1), message(3, 2)) == ["m1", "└── m2", "    └── m3"]
    assert drawn() == []


def test_a_deep_thread_stays_on_the_screen() -> None:
    """Ours: five hundred answers to answers are drawn without end of indentation, or of the stack."""
    lines = drawn(message(1), *(message(number, number - 1) for number in range(2, 501)))
    assert len(lines) == 500
    assert max(map(len, lines)) <= 4 * (DEEPEST + 1) + len("m500")
    assert lines[-1].startswith("…")


async def test_thread_prints_its_stable_shape(terminal: Terminal) -> None:
    """Issue 3.5: a list; the tree is in the parents."""
    answer = InboxThreaded(messages=[message(1), message(2, 1, excerpt="\x1b[2J")])
    terminal.broker.answers["inbox.thread"] = lambda _: answer
    assert await terminal.json("thread", "m2") == snapshot(
        [
            {
                "id": "m1",
                "parent": None,
                "sender": "alice",
                "to": "bob",
                "kind": "peer",
                "sent_at": "2027-01-15T08:00:00.000Z",
                "excerpt": "text 1",
                "states": {"bob": "handled"},
            },
            {
                "id": "m2",
                "parent": "m1",
                "sender": "alice",
                "to": "bob",
                "kind": "peer",
                "sent_at": "2027-01-15T08:00:00.000Z",
                "excerpt": "\x1b[2J",
                "states": {"bob": "handled"},
            },
        ]
    )
    assert (await terminal.broker.next())["message"] == "m2"


async def test_a_person_sees_who_says_what_to_whom_and_where_it_stands(terminal: Terminal) -> None:
    """Issue 3.5: one line each; a broadcast counts its copies, what a terminal would obey is written out."""
    answer = InboxThreaded(
        messages=[
            message(1, to="*", states={"bob": "handled", "carol": "queued", "dora": "queued"}, excerpt="all \x1b[2J"),
            message(2, 1, sender="bob", to="operator", states={"operator": "queued"}),
            message(3, 1, sender="bob", states={}),
        ],
        more=True,
    )
    terminal.broker.answers["inbox.thread"] = lambda _: answer
    result = await terminal.type("thread", "m1", "--absolute")
    at = "2027-01-15T08:00:00.000Z"
    assert result.stdout.splitlines() == [
        f"m1  alice → *  1 handled, 2 queued  {at}  all \\u{{1b}}[2J",
        f"├── m2  bob → operator  unread  {at}  text 2",
        f"└── m3  bob → bob  gone  {at}  text 3",
    ]
    assert "longer" in result.stderr


async def test_an_unknown_message_is_refused(terminal: Terminal) -> None:
    """DESIGN 10: exit 1."""
    terminal.broker.answers["inbox.thread"] = lambda _: Unknown("no message 'm9' that you may use; check the id")
    result = await terminal.type("thread", "m9")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "check the id" in result.stderr
