"""dead: listing and moving dead letters."""

from inline_snapshot import snapshot

from tests.console.cli.test_inbox import item
from tests.console.conftest import Terminal
from wire.errors import Unknown
from wire.inbox import InboxChanged, InboxListed


async def test_dead_list_prints_each_letter_with_its_reason(terminal: Terminal) -> None:
    """DESIGN 5.9."""
    dead = item(4, "hi", recipient="bob", state="dead", attempt=5, failures=5, reason="crashed")
    terminal.broker.answers["inbox.dead"] = lambda _: InboxListed(items=[dead])
    assert await terminal.json("dead", "list") == snapshot(
        [
            {
                "id": "m4",
                "sender": "alice",
                "recipient": "bob",
                "body": "hi",
                "in_reply_to": None,
                "sent_at": "2027-01-15T08:00:00.000Z",
                "attempt": 5,
                "failures": 5,
                "reason": "crashed",
            }
        ]
    )
    assert "crashed" in (await terminal.type("dead", "list")).stdout


async def test_no_dead_letters_is_said(terminal: Terminal) -> None:
    """Ours."""
    terminal.broker.answers["inbox.dead"] = lambda _: InboxListed(items=[])
    assert (await terminal.type("dead", "list", "--agent", "bob")).stdout == "no dead letters\n"
    assert (await terminal.broker.next("inbox.dead"))["agent"] == "bob"


async def test_requeue_and_discard_take_several_ids(terminal: Terminal) -> None:
    """DESIGN 5.9: a requeue keeps the id."""
    for op in ("requeue", "discard"):
        terminal.broker.answers[f"inbox.{op}"] = lambda request: InboxChanged(
            changed=[f"{one}/bob" for one in request["ids"]]
        )
        assert await terminal.json("dead", op, "m1", "m2", "--recipient", "bob") == {"changed": ["m1/bob", "m2/bob"]}
        request = await terminal.broker.next(f"inbox.{op}")
        assert (request["ids"], request["recipient"]) == (["m1", "m2"], "bob")


async def test_an_id_is_needed(terminal: Terminal) -> None:
    """Ours: usage."""
    assert (await terminal.type("dead", "requeue")).exit_code == 2


async def test_an_unknown_id_is_refused(terminal: Terminal) -> None:
    """Ours."""
    terminal.broker.answers["inbox.requeue"] = lambda _: Unknown("no dead letter 'm9'")
    result = await terminal.type("dead", "requeue", "m9")
    assert (result.exit_code, result.stdout) == (1, "")
