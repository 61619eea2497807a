"""explain: the whole story, for programs and for people."""

import pytest
from inline_snapshot import snapshot

from tests.console.conftest import NOW_MS, Terminal
from tests.fakes.link import WELCOME
from wire.errors import Unknown
from wire.finding import Explained
from wire.inbox import DeliveryStory, Happening, InboxExplained
from wire.private_files import write_secret

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


AGENT = Explained(
    id="bob",
    noun="agent",
    state="paused",
    waits_for="3 messages wait, but it is \x1b[2Jpaused",
    facts={"role": "agent", "mail": "3 waiting"},
    history=[Happening(at_ms=NOW_MS, event="agent.paused", detail="by operator")],
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


@pytest.mark.parametrize(
    ("name", "op", "field"),
    [
        ("m12", "inbox.explain", "message"),
        ("a3", "asks.explain", "ask"),
        ("r4", "reminders.explain", "reminder"),
        ("bob", "agents.explain", "agent"),
        ("mary", "agents.explain", "agent"),
        ("m0", "agents.explain", "agent"),
        ("t7", "agents.explain", "agent"),
    ],
)
async def test_the_form_of_an_id_says_what_it_is(terminal: Terminal, name: str, op: str, field: str) -> None:
    """Issue 3.5: message, ask, reminder; all else is the name of an agent."""
    terminal.broker.answers[op] = lambda _: STORY if op == "inbox.explain" else AGENT
    assert (await terminal.type("explain", name)).exit_code == 0
    (asked,) = terminal.broker.seen()
    assert (asked["op"], asked[field]) == (op, name)


async def test_an_agent_that_is_called_like_an_id(terminal: Terminal) -> None:
    """Issue 3.5: the id first, with a word about the agent; without such a message, or as told, the agent."""
    terminal.broker.greeting = WELCOME.model_copy(update={"home": str(terminal.home.root)})
    write_secret(terminal.home.agent_secret("m5"), "the-token-of-m5")
    terminal.broker.answers["inbox.explain"] = lambda _: STORY
    terminal.broker.answers["agents.explain"] = lambda _: AGENT
    both = await terminal.type("explain", "m5")
    assert both.stdout.startswith("m5  alice")
    assert "`queenpost explain m5 --agent`" in both.stderr
    assert (await terminal.type("explain", "m5", "--agent")).stdout.startswith("bob  agent  paused")
    terminal.broker.answers["inbox.explain"] = lambda _: Unknown("no message 'm5' that you may use; check the id")
    assert (await terminal.type("explain", "m5")).stdout.startswith("bob  agent  paused")
    nobody = await terminal.type("explain", "m6")
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    assert "no message 'm5'" in nobody.stderr


async def test_the_story_of_an_agent_has_a_stable_shape(terminal: Terminal) -> None:
    """Issue 3.5: that of an ask and of a reminder too."""
    terminal.broker.answers["agents.explain"] = lambda _: AGENT
    assert await terminal.json("explain", "bob") == {
        "id": "bob",
        "noun": "agent",
        "state": "paused",
        "waits_for": "3 messages wait, but it is \x1b[2Jpaused",
        "facts": {"role": "agent", "mail": "3 waiting"},
        "history": [{"at": "2027-01-15T08:00:00.000Z", "event": "agent.paused", "detail": "by operator"}],
    }


async def test_a_person_sees_why_an_agent_does_nothing(terminal: Terminal) -> None:
    """Issue 3.5: the reason first, then what one wants to know, then what happened."""
    terminal.broker.answers["agents.explain"] = lambda _: AGENT
    shown = (await terminal.type("explain", "bob", "--absolute")).stdout
    assert shown.splitlines() == [
        "bob  agent  paused",
        "3 messages wait, but it is \\u{1b}[2Jpaused",
        "",
        "  role  agent",
        "  mail  3 waiting",
        "",
        "                    WHEN  WHAT",
        "2027-01-15T08:00:00.000Z  agent paused  by operator",
    ]
    terminal.broker.answers["agents.explain"] = lambda _: AGENT.model_copy(update={"history": [], "waits_for": None})
    assert (await terminal.type("explain", "bob")).stdout.splitlines() == [
        "bob  agent  paused", "", "  role  agent", "  mail  3 waiting"
    ]  # fmt: skip
