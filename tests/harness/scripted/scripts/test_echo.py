"""The echo."""

from pathlib import Path

from tests.harness.scripted.playing import Theatre


def test_it_answers_each_message_with_its_text(tmp_path: Path) -> None:
    """Ours: and drains what waits behind the first."""
    theatre = Theatre(tmp_path)
    theatre.add("echo", "echo")
    for number in range(5):
        theatre.tell("echo", f"hello {number}")
    theatre.turn(theatre.players["echo"])
    assert [(mail.body, mail.in_reply_to) for mail in theatre.operator] == [
        (f"hello {number}", f"m{number + 1}") for number in range(5)
    ]


def test_a_repeated_turn_answers_once(tmp_path: Path) -> None:
    """Ours: keys follow from the mail."""
    theatre = Theatre(tmp_path)
    theatre.add("echo", "echo")
    theatre.tell("echo", "hello")
    theatre.crash_after_turn = True
    theatre.play()
    assert [mail.body for mail in theatre.operator] == ["hello"]


def test_two_echoes_come_to_an_end(tmp_path: Path) -> None:
    """Ours: a shipped script does not start a storm."""
    theatre = Theatre(tmp_path)
    for name in ("alice", "bob"):
        theatre.add(name, "echo")
    theatre.tell("alice", "hello", sender="bob", kind="peer")
    theatre.play()
    assert len(theatre.sent) == 1
