"""agent tail: the newest turn as a person reads it, and what comes live."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.cli import main
from console.cli.tail import Following, Page
from console.log_files import Follower
from console.transcripts.files import Tail
from wire.home import Home


def said(text: str) -> str:
    """Make a line of a program's transcript."""
    return json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}) + "\n"


@pytest.fixture
def transcripts(home: Home) -> Path:
    """Give the folder of bob's transcripts."""
    folder = home.agent_transcripts("bob")
    folder.mkdir(parents=True)
    return folder


def add(path: Path, text: str) -> None:
    """Write on."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def end(home: Home, turn: str, outcome: str = "completed", **fields: object) -> None:
    """Log that a turn ended, as a harness does."""
    record = {"time": "2030-01-01T00:00:00.000+00:00", "level": "info", "program": "harness", "event": "turn_ended"}
    told = {**record, "agent": "bob", "turn": turn, "outcome": outcome, "seconds": 1.5, **fields}
    add(home.logs / "harness.ndjson", json.dumps(told) + "\n")


def tail(home: Home, *words: str) -> Result:
    """Run `queenpost agent tail bob`."""
    return CliRunner().invoke(main, ["--home", str(home.root), "agent", "tail", "bob", *words])


def test_the_newest_turn_with_how_it_ended(home: Home, transcripts: Path) -> None:
    """Issue 4.9: an earlier turn is shown where it is named."""
    add(transcripts / "t1.log", "the first\n")
    add(transcripts / "t2.log", said("On it.") + "and a word behind")
    end(home, "t1", "crashed", reason="exit 1")
    end(home, "t2")
    assert tail(home).stdout.splitlines() == ["── t2 ──", "On it.", "and a word behind", "t2 completed after 1.5 s"]
    shown = tail(home, "--turn", "t1").stdout.splitlines()
    assert shown == ["── t1 ──", "the first", "t1 crashed after 1.5 s  exit 1"]


def test_no_more_than_the_last_things(home: Home, transcripts: Path) -> None:
    """Ours: and it is said that there is more."""
    add(transcripts / "t1.log", "".join(f"line {number}\n" for number in range(300)))
    result = tail(home, "-n", "2")
    assert result.stdout.splitlines() == ["── t1 ──", "line 298", "line 299"]
    assert "298 things before that" in result.stderr
    assert len(tail(home).stdout.splitlines()) == 201


def test_raw_lines_are_as_the_program_wrote_them(home: Home, transcripts: Path) -> None:
    """Ours: where no terminal would obey them."""
    add(transcripts / "t1.log", said("On it.") + "\x1b[31mred\n")
    assert tail(home, "--raw").stdout == said("On it.") + "\x1b[31mred\n"


def test_json_is_an_object_for_each_thing(home: Home, transcripts: Path) -> None:
    """DESIGN 10: one per line."""
    add(transcripts / "t1.log", said("On \x1bit."))
    end(home, "t1", "hung", reason="silent")
    first, last = (json.loads(line) for line in tail(home, "--json").stdout.splitlines())
    assert first == {"turn": "t1", "kind": "said", "name": "", "text": "On \x1bit.", "bad": False}
    assert last == {"turn": "t1", "kind": "outcome", "outcome": "hung", "reason": "silent"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 1, "no transcript of a turn"),
        (("--turn", "t7"), 1, "no transcript of t7"),
        (("--turn", "7"), 2, "t7"),
        (("--turn", "t7", "-f"), 2, "leave -f out"),
        (("-n", "-1"), 2, "-n"),
        (("--broker", "ssh://away"), 1, "run it on that machine"),
    ],
)
def test_what_cannot_be_shown_is_said(home: Home, words: tuple[str, ...], code: int, said: str) -> None:
    """Ours."""
    result = tail(home, *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_a_name_leads_nowhere_else(home: Home) -> None:
    """Ours."""
    result = CliRunner().invoke(main, ["--home", str(home.root), "agent", "tail", "../../etc"])
    assert result.exit_code == 1
    assert "no name for an agent" in result.stderr


def following(home: Home, shown: Tail | None = None, *, as_json: bool = False) -> Following:
    """Look over bob's shoulder from now on."""
    return Following("bob", home, Follower(home.logs, ["harness"]), Page(as_json=as_json, raw=False), shown)


def test_what_comes_live_is_shown_turn_after_turn(
    home: Home, transcripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 4.9: each line once, each turn with its end, one that began and ended between two looks too."""
    view = following(home)
    view.look()
    assert capsys.readouterr().out == ""
    add(transcripts / "t1.log", said("One.") + "half")
    view.look()
    assert capsys.readouterr().out == "── t1 ──\nOne.\n"
    add(transcripts / "t1.log", " a line\n")
    end(home, "t1")
    for turn in ("t2", "t3"):
        add(transcripts / f"{turn}.log", f"{turn} it is")
        end(home, turn, "crashed")
    view.look()
    assert capsys.readouterr().out.splitlines() == [
        "half a line",
        "t1 completed after 1.5 s",
        *("── t2 ──", "t2 it is", "t2 crashed after 1.5 s"),
        *("── t3 ──", "t3 it is", "t3 crashed after 1.5 s"),
    ]
    view.look()
    assert capsys.readouterr().out == ""


def test_a_turn_whose_program_never_ran_is_shown_too(
    home: Home, transcripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours: it has an end and no transcript."""
    view = following(home)
    end(home, "t4", "missing_program", reason="no such program")
    view.look()
    assert capsys.readouterr().out.splitlines() == ["── t4 ──", "t4 missing program after 1.5 s  no such program"]


def test_what_comes_in_pieces_stands_in_one_line(
    home: Home, transcripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours: live, each piece as it comes."""
    view = following(home)
    for piece in ("In ", "three ", "pieces."):
        line = {"type": "message", "role": "assistant", "content": piece, "delta": True}
        add(transcripts / "t1.log", json.dumps(line) + "\n")
        view.look()
    end(home, "t1")
    view.look()
    assert capsys.readouterr().out == "── t1 ──\nIn three pieces.\nt1 completed after 1.5 s\n"
