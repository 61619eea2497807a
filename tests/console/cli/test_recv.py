"""recv: taken, printed, and only then handled."""

import subprocess
import sys
from unittest import mock

from inline_snapshot import snapshot

from tests.console.conftest import NOW_MS, Terminal
from wire.agents import AgentsAttached, AgentsChanged
from wire.errors import Conflict, Unavailable
from wire.home import Home
from wire.inbox import InboxPeeked, Mail
from wire.settings import AgentSettings
from wire.turns import TurnsClosed, TurnsTaken


def mail(number: int, body: str = "hello", **fields: object) -> Mail:
    """Make a message as it is handed over."""
    base = {"id": f"m{number}", "sender": "alice", "kind": "peer", "body": body, "sent_at_ms": NOW_MS}
    return Mail.model_validate({**base, **fields})


def answer(terminal: Terminal, *letters: Mail, waiting: int = 0) -> None:
    """Script a broker on which recv succeeds."""
    turn = "t7" if letters else None
    terminal.broker.answers.update(
        {
            "agents.attach": lambda _: AgentsAttached(
                agent="bob",
                epoch=1,
                role="agent",
                attended=True,
                open_turn=None,
                paused=False,
                settings=AgentSettings(),
            ),
            "turns.take": lambda _: TurnsTaken(turn=turn, mail=list(letters), waiting=waiting),
            "turns.close": lambda _: TurnsClosed(id="t7", acked=[one.id for one in letters]),
            "agents.detach": lambda _: AgentsChanged(agent="bob", changed=True),
        }
    )


def ops(terminal: Terminal) -> list[str]:
    """Give what was asked of the broker, in order."""
    return [frame["op"] for frame in terminal.broker.seen()]


async def test_recv_prints_then_closes_its_turn_as_completed(terminal: Terminal) -> None:
    """DESIGN 5.4: [P01] mail is handled once it was printed, not before."""
    answer(terminal, mail(1), waiting=2)
    result = await terminal.type("recv", "--as", "bob")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == ["hello"]
    assert "2 more for bob" in result.stderr
    frames = terminal.broker.seen()
    assert [frame["op"] for frame in frames] == ["agents.attach", "turns.take", "turns.close", "agents.detach"]
    assert (frames[2]["turn"], frames[2]["outcome"]) == ("t7", "completed")


async def test_recv_prints_one_object_for_programs(terminal: Terminal) -> None:
    """Ours: the turn, the mail, what still waits."""
    answer(terminal, mail(1, in_reply_to="m9"), mail(2, attempt=2, broadcast=True), waiting=1)
    assert await terminal.json("recv", "--as", "bob", "--max", "2") == snapshot(
        {
            "turn": "t7",
            "mail": [
                {
                    "id": "m1",
                    "sender": "alice",
                    "kind": "peer",
                    "body": "hello",
                    "in_reply_to": "m9",
                    "sent_at": "2027-01-15T08:00:00.000Z",
                    "broadcast": False,
                    "attempt": 1,
                },
                {
                    "id": "m2",
                    "sender": "alice",
                    "kind": "peer",
                    "body": "hello",
                    "in_reply_to": None,
                    "sent_at": "2027-01-15T08:00:00.000Z",
                    "broadcast": True,
                    "attempt": 2,
                },
            ],
            "waiting": 1,
        }
    )


async def test_without_mail_nothing_is_closed(terminal: Terminal) -> None:
    """Ours: exit 0, and the place is given up at once."""
    answer(terminal)
    result = await terminal.type("recv", "--as", "bob")
    assert (result.exit_code, result.stdout) == (0, "")
    assert ops(terminal) == ["agents.attach", "turns.take", "agents.detach"]


async def test_mail_that_could_not_be_printed_goes_back(terminal: Terminal) -> None:
    """DESIGN 5.4: no `completed` is said; detaching gives the turn back, uncounted."""
    answer(terminal, mail(1))
    with mock.patch("console.cli.recv.print_json", side_effect=OSError(28, "No space left on device")):
        result = await terminal.type("recv", "--as", "bob", "--json")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert ops(terminal) == ["agents.attach", "turns.take", "agents.detach"]


def test_a_closed_stdout_takes_nothing(home: Home) -> None:
    """Ours: `queenpost recv >&-` would print into the void; it does not even ask."""
    code = "from console.cli import main; main()"
    argv = [sys.executable, "-P", "-c", code, "--home", str(home.root), "recv", "--as", "bob"]
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *argv]
    ended = subprocess.run(closed, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert "stdout is closed" in ended.stderr


async def test_a_taker_is_told_that_a_harness_has_the_agent(terminal: Terminal) -> None:
    """DESIGN 5.4: a second taker gets `conflict`."""
    terminal.broker.answers["agents.attach"] = lambda _: Conflict("a harness works for bob")
    result = await terminal.type("recv", "--as", "bob")
    assert result.exit_code == 1
    assert "conflict: a harness works for bob" in result.stderr


async def test_a_goodbye_that_fails_changes_nothing(terminal: Terminal) -> None:
    """Ours: the mail was printed and is handled; the end of the connection says the rest."""
    answer(terminal, mail(1))
    terminal.broker.answers["agents.detach"] = lambda _: Unavailable("stopping")
    result = await terminal.type("recv", "--as", "bob")
    assert result.exit_code == 0
    assert "could not say goodbye" in result.stderr


async def test_peek_takes_nothing(terminal: Terminal) -> None:
    """DESIGN 5.4: read-only, and possible while a harness holds the agent."""
    terminal.broker.answers["inbox.peek"] = lambda _: InboxPeeked(mail=[mail(1)], waiting=3)
    shown = await terminal.json("recv", "--as", "bob", "--peek")
    assert (shown["turn"], len(shown["mail"]), shown["waiting"]) == (None, 1, 2)
    assert ops(terminal) == ["inbox.peek"]


async def test_a_wait_is_clamped_and_a_negative_one_refused(terminal: Terminal) -> None:
    """[H02] DESIGN 9: at most 180 s, more is clamped and said; less than nothing is a usage error."""
    answer(terminal)
    result = await terminal.type("recv", "--as", "bob", "--wait", "999")
    assert "waits 180 s, not 999" in result.stderr
    assert (await terminal.broker.next("turns.take"))["wait_s"] == 180
    assert (await terminal.type("recv", "--as", "bob", "--wait", "-1")).exit_code == 2


async def test_whose_mail_has_to_be_said(terminal: Terminal) -> None:
    """Ours: the operator has a mailbox without turns."""
    result = await terminal.type("recv")
    assert result.exit_code == 2
    assert "--as NAME" in result.stderr


async def test_a_letter_shows_what_a_reader_has_to_know(terminal: Terminal) -> None:
    """[P12] Who, what kind, in reply to what, and that an earlier attempt did not finish."""
    answer(terminal, mail(4, "hi \x1b[31m", in_reply_to="m2", attempt=3, broadcast=True))
    head, body = (await terminal.type("recv", "--as", "bob", "--absolute")).stdout.splitlines()
    assert head == (
        "m4  from alice (peer) · 2027-01-15T08:00:00.000Z · in reply to m2 · to everyone · "
        "attempt 3: may already be handled in part"
    )
    assert body == "hi \\u{1b}[31m"
