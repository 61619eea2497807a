"""send and inbox: the shapes that scripts rely on, and what a person sees."""

import os
from pathlib import Path

from click.testing import CliRunner
from inline_snapshot import snapshot

from console.cli import main
from tests.console.conftest import NOW_MS, Terminal
from wire.errors import Denied, Full, Unknown
from wire.home import Home
from wire.inbox import InboxAcked, InboxListed, InboxSent, Item, Skipped
from wire.private_files import write_secret


def item(number: int, body: str = "hello", **fields: object) -> Item:
    """Make one line of a listing."""
    base = {
        "id": f"m{number}",
        "sender": "alice",
        "recipient": "operator",
        "kind": "peer",
        "body": body,
        "in_reply_to": None,
        "sent_at_ms": NOW_MS,
        "state": "queued",
    }
    return Item.model_validate({**base, **fields})


async def test_send_prints_its_receipt_as_one_object(terminal: Terminal) -> None:
    """DESIGN 10: the shape is stable."""
    terminal.broker.answers["inbox.send"] = lambda _: InboxSent(id="m12", to="bob", recipients=["bob"])
    assert await terminal.json("send", "bob", "hi") == snapshot(
        {"id": "m12", "to": "bob", "state": "queued", "warnings": []}
    )


async def test_a_broadcast_says_whom_it_reached_and_whom_not(terminal: Terminal) -> None:
    """DESIGN 5.12, 10."""
    sent = InboxSent(id="m3", to="*", recipients=["alice", "bob"], skipped=[Skipped(name="carol", reason="denied")])
    terminal.broker.answers["inbox.send"] = lambda _: sent
    assert await terminal.json("send", "*", "hi") == snapshot(
        {
            "id": "m3",
            "to": "*",
            "state": "queued",
            "warnings": [],
            "recipients": ["alice", "bob"],
            "skipped": [{"name": "carol", "reason": "denied"}],
        }
    )
    shown = await terminal.type("send", "*", "hi")
    assert shown.stdout == "m3 to * (alice, bob): queued\n"
    assert "carol was left out: denied" in shown.stderr


async def test_send_says_what_the_caller_said(terminal: Terminal) -> None:
    """Ours: reply and key travel as given; a key of our own only where none was given."""
    terminal.broker.answers["inbox.send"] = lambda _: InboxSent(id="m1", to="bob")
    await terminal.type("send", "bob", "hi", "--reply-to", "m7", "--key", "once")
    request = await terminal.broker.next("inbox.send")
    assert (request["body"], request["in_reply_to"], request["key"]) == ("hi", "m7", "once")
    await terminal.type("send", "bob", "hi")
    request = await terminal.broker.next("inbox.send")
    assert (len(request["key"]) > 16, request.get("now", False)) == (True, False)
    await terminal.type("send", "bob", "stop that", "--now")
    assert (await terminal.broker.next("inbox.send"))["now"] is True


async def test_send_reads_stdin_as_it_is(terminal: Terminal) -> None:
    """Ours: `-` is stdin, and a body is not trimmed."""
    terminal.broker.answers["inbox.send"] = lambda _: InboxSent(id="m1", to="bob")
    await terminal.type("send", "bob", "-", stdin="first\nsecond é\n")
    assert (await terminal.broker.next("inbox.send"))["body"] == "first\nsecond é\n"


async def test_a_body_that_is_no_text_or_nothing_is_refused_here(terminal: Terminal) -> None:
    """Ours: exit 1 with the reason, and nothing sent."""
    for stdin, reason in ((b"\xff\xfe", "not UTF-8"), (b"", "empty")):
        result = await terminal.type("send", "bob", "-", stdin=stdin)
        assert result.exit_code == 1
        assert result.stderr.startswith("queenpost: invalid: the body is")
        assert reason in result.stderr
    assert terminal.broker.seen() == []


async def test_a_refusal_is_one_line_with_its_code(terminal: Terminal) -> None:
    """Issue 2: exit 1, `queenpost: CODE: reason` on stderr, nothing on stdout."""
    for error in (Denied("no"), Unknown("who?"), Full("the inbox of bob is full")):
        terminal.broker.answers["inbox.send"] = lambda _, error=error: error
        result = await terminal.type("send", "bob", "hi")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.splitlines()[-1] == f"queenpost: {error.code}: {error.message}"


async def test_as_name_is_that_agent_by_its_own_token(terminal: Terminal) -> None:
    """DESIGN 4: the sender comes from the credential, never from an argument."""
    terminal.broker.answers["inbox.send"] = lambda _: InboxSent(id="m1", to="operator")
    await terminal.type("send", "operator", "hi", "--as", "bob")
    await terminal.type("send", "operator", "hi")
    tokens = [hello["token"] for hello in terminal.broker.hellos]
    assert tokens == ["the-token-of-bob", "the-token-of-the-operator"]


async def test_a_credential_can_come_from_another_file_or_descriptor(terminal: Terminal, tmp_path: Path) -> None:
    """DESIGN 4: `--token-file` and `--token-fd`; no token is ever an argument."""
    terminal.broker.answers["inbox.send"] = lambda _: InboxSent(id="m1", to="bob")
    write_secret(tmp_path / "token", "a-token-from-elsewhere")
    await terminal.type("send", "bob", "hi", "--token-file", str(tmp_path / "token"))
    reading, writing = os.pipe()
    os.write(writing, b"a-token-from-a-pipe\n")
    os.close(writing)
    await terminal.type("send", "bob", "hi", "--token-fd", str(reading))
    os.close(reading)
    tokens = [hello["token"] for hello in terminal.broker.hellos]
    assert tokens == ["a-token-from-elsewhere", "a-token-from-a-pipe"]


async def test_a_token_that_others_can_read_is_refused(terminal: Terminal, tmp_path: Path) -> None:
    """DESIGN 4: files 0600."""
    (tmp_path / "token").write_text("an-open-secret")
    (tmp_path / "token").chmod(0o644)
    result = await terminal.type("send", "bob", "hi", "--token-file", str(tmp_path / "token"))
    assert result.exit_code == 1
    assert "chmod 600" in result.stderr


async def test_as_a_stranger_is_refused(terminal: Terminal) -> None:
    """Ours: a name without a token is no agent of this fleet."""
    result = await terminal.type("send", "bob", "hi", "--as", "mallory")
    assert result.exit_code == 1
    assert "no agent 'mallory' in this fleet" in result.stderr


async def test_inbox_operator_lists_the_stable_shape(terminal: Terminal) -> None:
    """DESIGN 10: exactly these fields."""
    listed = InboxListed(items=[item(1, "done", in_reply_to="m9")])
    terminal.broker.answers["inbox.list"] = lambda _: listed
    assert await terminal.json("inbox", "operator") == snapshot(
        [
            {
                "id": "m1",
                "sender": "alice",
                "body": "done",
                "in_reply_to": "m9",
                "sent_at": "2027-01-15T08:00:00.000Z",
            }
        ]
    )
    assert await terminal.json("inbox") == await terminal.json("inbox", "operator")


async def test_an_agents_inbox_shows_states_too(terminal: Terminal) -> None:
    """Ours: the same fields and three more."""
    listed = InboxListed(items=[item(1, recipient="bob", state="in_turn", turn="t4", attempt=2)])
    terminal.broker.answers["inbox.list"] = lambda _: listed
    (shown,) = await terminal.json("inbox", "bob")
    assert (shown["state"], shown["turn"], shown["attempt"]) == ("in_turn", "t4", 2)
    assert "in turn t4" in (await terminal.type("inbox", "bob")).stdout


async def test_listing_marks_nothing_as_read(terminal: Terminal) -> None:
    """DESIGN 5.17: listing never acks."""
    terminal.broker.answers["inbox.list"] = lambda _: InboxListed(items=[item(1)])
    await terminal.type("inbox")
    assert [frame["op"] for frame in terminal.broker.seen()] == ["inbox.list"]


async def test_inbox_reads_page_after_page_up_to_the_limit(terminal: Terminal) -> None:
    """Ours: the limit is the caller's, pages are the broker's."""

    def page(request: dict[str, object]) -> InboxListed:
        first = 1 if request.get("after") is None else int(str(request["after"])[1:]) + 1
        return InboxListed(items=[item(number) for number in range(first, first + 2)], more=True)

    terminal.broker.answers["inbox.list"] = page
    listed = await terminal.json("inbox", "--limit", "3")
    assert [one["id"] for one in listed][:4] == ["m1", "m2", "m3", "m4"]
    assert [frame["limit"] for frame in terminal.broker.seen()] == [3, 1]


async def test_ack_takes_several_ids_and_all(terminal: Terminal) -> None:
    """DESIGN 10: `--ack ID…|--all`."""
    terminal.broker.answers["inbox.ack"] = lambda request: InboxAcked(ids=list(request["ids"]))
    assert await terminal.json("inbox", "operator", "--ack", "m1", "m2") == {"ids": ["m1", "m2"]}
    await terminal.type("inbox", "--all")
    assert [(frame["ids"], frame["all"]) for frame in terminal.broker.seen()] == [(["m1", "m2"], False), ([], True)]


async def test_only_operator_mail_can_be_marked_as_read(terminal: Terminal) -> None:
    """DESIGN 5.17: an agent's mail is handled by its turns."""
    result = await terminal.type("inbox", "bob", "--ack", "m1")
    assert result.exit_code == 1
    assert "handled by its turns" in result.stderr
    assert terminal.broker.seen() == []


async def test_a_message_cannot_command_the_terminal(terminal: Terminal) -> None:
    """Ours: escape sequences and hidden characters of a body are written out, in tables and in JSON."""
    listed = InboxListed(items=[item(1, "\x1b]0;owned\x07\x1b[2J\u202e hi \x9b31m")])
    terminal.broker.answers["inbox.list"] = lambda _: listed
    for words in (("inbox",), ("inbox", "--json")):
        shown = (await terminal.type(*words)).stdout
        assert not set(shown) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert (await terminal.json("inbox"))[0]["body"] == listed.items[0].body


async def test_a_long_body_is_elided_in_a_list(terminal: Terminal) -> None:
    """Ours: one message, one line, and a hint where the rest is."""
    terminal.broker.answers["inbox.list"] = lambda _: InboxListed(items=[item(1, "word " * 5000)])
    result = await terminal.type("inbox")
    header, line = result.stdout.splitlines()
    assert header.startswith("ID")
    assert line.endswith("…")
    assert len(line) < 200
    assert "explain ID --full" in result.stderr


async def test_a_broken_row_shows_as_broken(terminal: Terminal) -> None:
    """[H22] It never empties the list."""
    terminal.broker.answers["inbox.list"] = lambda _: InboxListed(items=[item(1, "", broken=True), item(2)])
    shown = (await terminal.type("inbox")).stdout
    assert "[broken" in shown
    assert "m2" in shown


async def test_every_command_names_the_fleet_but_not_in_json(terminal: Terminal) -> None:
    """DESIGN 1: on stderr, so that stdout stays what was asked for."""
    terminal.broker.answers["inbox.list"] = lambda _: InboxListed(items=[])
    assert (await terminal.type("inbox")).stderr == "fleet demo  /srv/demo\n"
    assert (await terminal.type("inbox", "--json")).stderr == ""


def test_without_a_broker_it_says_how_to_start_one(home: Home) -> None:
    """DESIGN 2: exit 1, with the fleet and its home."""
    result = CliRunner().invoke(main, ["--home", str(home.root), "send", "bob", "hi"])
    assert result.exit_code == 1
    assert result.stderr == (
        f"queenpost: unavailable: no broker runs for fleet {home.fleet_name} (home {home.root}); "
        "start it with `queenpost up`\n"
    )
