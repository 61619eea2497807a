"""explain: the whole story, for programs and for people."""

from inline_snapshot import snapshot

from tests.console.conftest import NOW_MS, Terminal
from wire.inbox import DeliveryStory, Happening, InboxExplained

STORY = InboxExplained(
    id="m5",
    sender="alice",
    kind="peer",
    body="please look\n" + "line\n" * 30,
    in_reply_to="m2",
    sent_at_ms=NOW_MS,
    depth=1,
    sent_in_turn="t3",
    deliveries=[
        DeliveryStory(recipient="bob", state="handled", turn="t9", attempt=2, failures=1),
        DeliveryStory(recipient="carol", state="queued", turn=None, attempt=0, waits_for="carol is paused"),
        DeliveryStory(recipient="operator", state="queued", turn=None, attempt=0),
    ],
    replies=["m8"],
    history=[
        Happening(at_ms=NOW_MS, event="accepted", detail="from alice"),
        Happening(at_ms=NOW_MS + 61_500, event="turn_crashed", detail="t7 (killed by \x1b[2JSIGKILL)"),
    ],
)


async def test_explain_prints_its_stable_shape(terminal: Terminal) -> None:
    """DESIGN 10: exactly these fields. [P01]"""
    short = STORY.model_copy(update={"body": "please look", "deliveries": STORY.deliveries[:2]})
    terminal.broker.answers["inbox.explain"] = lambda _: short
    assert await terminal.json("explain", "m5") == snapshot(
        {
            "id": "m5",
            "sender": "alice",
            "kind": "peer",
            "body": "please look",
            "in_reply_to": "m2",
            "deliveries": [
                {"recipient": "bob", "state": "handled", "turn": "t9", "attempt": 2},
                {"recipient": "carol", "state": "queued", "turn": None, "attempt": 0},
            ],
            "history": [
                {"at": "2027-01-15T08:00:00.000Z", "event": "accepted", "detail": "from alice"},
                {
                    "at": "2027-01-15T08:01:01.500Z",
                    "event": "turn_crashed",
                    "detail": "t7 (killed by \x1b[2JSIGKILL)",
                },
            ],
        }
    )


async def test_a_person_sees_where_each_copy_stands_and_why(terminal: Terminal) -> None:
    """Ours: state with its turn, attempts, the reason for waiting, and a timeline."""
    terminal.broker.answers["inbox.explain"] = lambda _: STORY
    shown = (await terminal.type("explain", "m5")).stdout
    assert shown.startswith("m5  alice → bob, carol, operator\npeer mail · sent ")
    assert "in turn t3 · answers m2 · answered by m8" in shown
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "bob handled in turn t9 2 1 failed turn" in lines
    assert "carol queued 0 carol is paused" in lines
    assert "operator unread 0" in lines
    assert "+0.0 s accepted from alice" in lines
    assert "+1 min 01 s turn crashed t7 (killed by \\u{1b}[2JSIGKILL)" in lines


async def test_a_long_body_is_elided_unless_asked_for(terminal: Terminal) -> None:
    """Ours: with a hint how to see it all."""
    terminal.broker.answers["inbox.explain"] = lambda _: STORY
    assert "--full shows them" in (await terminal.type("explain", "m5")).stdout
    full = (await terminal.type("explain", "m5", "--full")).stdout
    assert full.count("  line\n") == 30
    assert "--full" not in full
