"""held: listing and moving held mail."""

from inline_snapshot import snapshot

from tests.console.cli.test_inbox import item
from tests.console.conftest import Terminal
from wire.errors import Conflict
from wire.inbox import InboxChanged, InboxListed

WHY = "storm: 31 messages between alice and bob within 5 min without the operator"


async def test_held_list_prints_each_letter_with_its_reason(terminal: Terminal) -> None:
    """[P05] DESIGN 5.15."""
    held = item(4, "hi", recipient="bob", state="held", reason=WHY)
    terminal.broker.answers["inbox.held"] = lambda _: InboxListed(items=[held])
    assert await terminal.json("held", "list") == snapshot(
        [
            {
                "id": "m4",
                "sender": "alice",
                "recipient": "bob",
                "body": "hi",
                "in_reply_to": None,
                "sent_at": "2027-01-15T08:00:00.000Z",
                "reason": "storm: 31 messages between alice and bob within 5 min without the operator",
                "broken": False,
            }
        ]
    )
    assert WHY in (await terminal.type("held", "list")).stdout


async def test_a_broken_letter_shows_as_broken(terminal: Terminal) -> None:
    """[H22] DESIGN 5: it empties no list."""
    rows = [item(4, "", recipient="bob", state="held", reason="damaged", broken=True), item(5, "whole")]
    terminal.broker.answers["inbox.held"] = lambda _: InboxListed(items=rows, more=True)
    shown = await terminal.type("held", "list", "--agent", "bob", "--limit", "2")
    assert "[broken: does not match its checksum]" in shown.stdout
    assert "whole" in shown.stdout
    assert "there is more" in shown.stderr
    request = await terminal.broker.next("inbox.held")
    assert (request["agent"], request["limit"]) == ("bob", 2)


async def test_no_held_mail_is_said(terminal: Terminal) -> None:
    """Ours."""
    terminal.broker.answers["inbox.held"] = lambda _: InboxListed(items=[])
    assert (await terminal.type("held", "list")).stdout == "no mail is held\n"


async def test_release_and_discard_take_several_ids(terminal: Terminal) -> None:
    """[P05] DESIGN 5.15: a release keeps the id."""
    for op in ("release", "discard"):
        terminal.broker.answers[f"inbox.{op}"] = lambda request: InboxChanged(
            changed=[f"{one}/bob" for one in request["ids"]]
        )
        assert await terminal.json("held", op, "m1", "m2", "--recipient", "bob") == {"changed": ["m1/bob", "m2/bob"]}
        request = await terminal.broker.next(f"inbox.{op}")
        assert (request["ids"], request["recipient"]) == (["m1", "m2"], "bob")
    assert (await terminal.type("held", "discard", "m1")).stdout == "discarded: m1/bob\n"


async def test_releasing_twice_is_refused(terminal: Terminal) -> None:
    """[P05] Bad input: exit 1, with where it is now."""
    terminal.broker.answers["inbox.release"] = lambda _: Conflict("m1 is not held: it is queued for bob")
    result = await terminal.type("held", "release", "m1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "it is queued for bob" in result.stderr


async def test_an_id_is_needed(terminal: Terminal) -> None:
    """Ours: usage."""
    assert (await terminal.type("held", "release")).exit_code == 2
