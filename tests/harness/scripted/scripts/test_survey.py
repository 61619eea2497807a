"""The survey: a manager and its workers, crashed at every point they can be crashed at."""

import json
from pathlib import Path

import pytest

from harness.scripted.scripts import survey_worker
from harness.scripted.survey import mail as survey_mail
from tests.harness.scripted.playing import Theatre
from wire.inbox import About

MARK = "TO" + "DO"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Something to survey."""
    folder = tmp_path / "a project"
    (folder / "src").mkdir(parents=True)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "secret.py").write_text("not surveyed\n")
    (folder / "src" / "main.py").write_text(f"def main():\n    # {MARK}: write it\n    pass\n\n")
    (folder / "src" / "copy.py").write_text("x = 1\n")
    (folder / "copy.py").write_text("x = 1\n")
    (folder / "README.md").write_text("# Title\nno newline")
    (folder / "picture.png").write_bytes(b"\x89PNG\0\0")
    return folder


@pytest.fixture
def theatre(tmp_path: Path) -> Theatre:
    """A manager and two workers."""
    (tmp_path / "agents").mkdir()
    theatre = Theatre(tmp_path / "agents")
    theatre.add("manager", "survey-manager", "alice", "bob", manager=True)
    theatre.add("alice", "survey-worker")
    theatre.add("bob", "survey-worker")
    return theatre


def report_of(theatre: Theatre) -> str:
    """The one report."""
    assert len(theatre.operator) == 1
    return theatre.operator[0].body


def test_the_operator_gets_one_report(theatre: Theatre, folder: Path) -> None:
    """Ours: what a person can use, from a real folder."""
    asked = theatre.tell("manager", f"Please survey the folder {folder}.")
    theatre.play()
    report = report_of(theatre)
    assert theatre.operator[0].in_reply_to == asked.id
    assert report.startswith("# Survey of a project\n")
    assert "| Files | 4 |" in report
    assert "| Python | 3 | 6 | 1 | 75 % |" in report
    assert f"- `src/main.py:2` {MARK} write it" in report
    assert "- same content: `copy.py`, `src/copy.py`" in report
    assert "- no newline at the end (1): `README.md`" in report
    assert "- binary, not read (1): `picture.png`" in report
    assert "secret" not in report


@pytest.mark.parametrize("crash", range(8))
def test_a_crash_before_any_send_changes_nothing(theatre: Theatre, folder: Path, crash: int) -> None:
    """Ours: the turn is repeated, every message is sent once, the report is the same."""
    theatre.tell("manager", f"Survey {folder}")
    theatre.crash_before_send = crash
    theatre.play()
    assert "| Files | 4 |" in report_of(theatre)
    assert len(theatre.sent) == 5


@pytest.mark.parametrize("turn", range(5))
def test_a_crash_after_any_turn_changes_nothing(theatre: Theatre, folder: Path, turn: int) -> None:
    """Ours: all was sent, nothing was acked, and the same mail comes again."""
    theatre.tell("manager", f"Survey {folder}")
    for _ in range(turn):
        theatre.turn(next(player for player in theatre.players.values() if player.inbox))
    theatre.crash_after_turn = True
    theatre.play()
    assert "| Files | 4 |" in report_of(theatre)
    assert len(theatre.sent) == 5


def test_a_repeated_turn_sends_what_it_sent_though_the_folder_changed(theatre: Theatre, folder: Path) -> None:
    """Ours: the same key with other content would be refused."""
    theatre.tell("manager", f"Survey {folder}")
    manager, alice = theatre.players["manager"], theatre.players["alice"]
    for player in (manager, alice):
        theatre.crash_after_turn = True
        theatre.turn(player)
        (folder / f"new-{player.name}.py").write_text("y = 2\n")
    theatre.play()
    assert "| Files | 4 |" in report_of(theatre)


def test_two_surveys_do_not_mix(theatre: Theatre, folder: Path) -> None:
    """Ours: notes are kept by the id of the request."""
    (folder / "src" / "sub").mkdir()
    (folder / "src" / "sub" / "one.rs").write_text("fn main() {}\n")
    theatre.tell("manager", f"Survey {folder}")
    theatre.tell("manager", f"Survey {folder / 'src' / 'sub'}")
    theatre.play()
    titles = sorted(mail.body.split("\n")[0] for mail in theatre.operator)
    assert titles == ["# Survey of a project", "# Survey of sub"]


def test_without_workers_the_manager_does_it_alone(tmp_path: Path, folder: Path) -> None:
    """Ours: a fleet of one is a fleet."""
    (tmp_path / "agents").mkdir()
    theatre = Theatre(tmp_path / "agents")
    theatre.add("manager", "survey-manager", manager=True)
    theatre.tell("manager", f"Survey {folder}")
    theatre.play()
    assert "read by 1 worker." in report_of(theatre)


def test_an_empty_folder_is_reported_too(theatre: Theatre, tmp_path: Path) -> None:
    """Ours: nobody waits for parts that were never handed out."""
    (tmp_path / "nothing").mkdir()
    theatre.tell("manager", f"Survey {tmp_path / 'nothing'}")
    theatre.play()
    assert "| Files | 0 |" in report_of(theatre)


def test_long_lists_and_answers_go_through_files(
    theatre: Theatre, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: what is longer than a message is written down, and its path is sent."""
    monkeypatch.setattr(survey_mail, "LONGEST_BODY_BYTES", 100)
    theatre.tell("manager", f"Survey {folder}")
    theatre.play()
    assert "| Files | 4 |" in report_of(theatre)
    bodies = [json.loads(mail.body) for key, mail in theatre.sent.items() if "report" not in key]
    assert all(set(body) == {"survey", "file"} for body in bodies)


def test_a_request_without_a_folder_gets_help(theatre: Theatre) -> None:
    """Ours: says what to write."""
    theatre.tell("manager", "Survey the folder /no/such/folder please")
    theatre.play()
    assert report_of(theatre).startswith("I survey folders. Write: ")


def test_only_the_worker_that_was_asked_can_answer(theatre: Theatre, folder: Path) -> None:
    """Ours: a forged answer to somebody else's part is left at that."""
    theatre.tell("manager", f"Survey {folder}")
    theatre.turn(theatre.players["manager"])
    forged = json.dumps({"survey": "m1", "part": 0, "files": 1, "facts": {}})
    theatre.tell("manager", forged, sender="bob", kind="peer")
    theatre.tell("manager", json.dumps({"survey": "../../etc", "part": 0}), sender="bob", kind="peer")
    theatre.play()
    assert "| Files | 4 |" in report_of(theatre)


def test_a_worker_reads_only_below_the_folder_and_only_for_its_manager(theatre: Theatre, folder: Path) -> None:
    """Ours: paths that lead out are left out, jobs of peers are left alone."""
    job = {"survey": "m1", "part": 0, "folder": str(folder), "paths": ["../outside.py", "/etc/passwd", "copy.py"]}
    theatre.tell("alice", json.dumps(job), sender="bob", kind="peer")
    theatre.play()
    assert not theatre.sent
    theatre.tell("alice", json.dumps(job), sender="manager", kind="manager")
    theatre.turn(theatre.players["alice"])
    answer = json.loads(theatre.sent["alice/answer:m2"].body)
    assert answer["files"] == 1


def test_a_notice_is_passed_on(theatre: Theatre) -> None:
    """Ours: mail to a worker that died would otherwise leave the operator waiting."""
    theatre.tell("manager", "m5 to alice is dead: 5 turns failed", sender="system", kind="system")
    theatre.play()
    assert "m5 to alice is dead" in report_of(theatre)


def test_a_worker_pauses_once(theatre: Theatre, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: the demo kills it there; the repeated turn goes straight on."""
    monkeypatch.setattr(survey_worker, "PAUSE_S", 0.0)
    theatre.players["alice"].args = ["--pause-once"]
    theatre.tell("manager", f"Survey {folder}")
    theatre.turn(theatre.players["manager"])
    theatre.crash_before_send = 0
    theatre.turn(theatre.players["alice"])
    mark = theatre.players["alice"].state / survey_worker.PAUSE_MARK
    assert json.loads(mark.read_text())["pid"]
    mark.write_text("untouched")
    theatre.play()
    assert mark.read_text() == "untouched"
    assert "| Files | 4 |" in report_of(theatre)


def test_a_survey_that_is_a_job_makes_its_parts_jobs_and_ends_with_the_report(theatre: Theatre, folder: Path) -> None:
    """Issue 5: the demo's job runs as registered, signed events."""
    theatre.tell("manager", f"Survey {folder}", about=About(job="j-1"))
    theatre.play()
    assert "| Files | 4 |" in report_of(theatre)
    manager, *workers = theatre.players.values()
    assert [(job, event) for job, event, _ in manager.published] == [("j-1", "progress"), ("j-1", "completed")]
    for worker in workers:
        (job,) = {job for job, _, _ in worker.published}
        assert job is not None
        assert [event for _, event, _ in worker.published] == ["progress", "completed"]


@pytest.mark.parametrize("turn", range(4))
def test_a_repeated_turn_of_a_job_registers_no_part_twice(theatre: Theatre, folder: Path, turn: int) -> None:
    """Ours: what is under a key is once; that an end was said before stops nobody."""
    theatre.tell("manager", f"Survey {folder}", about=About(job="j-1"))
    for _ in range(turn):
        theatre.turn(next(player for player in theatre.players.values() if player.inbox))
    theatre.crash_after_turn = True
    theatre.play()
    assert "| Files | 4 |" in report_of(theatre)
    assert len(theatre.sent) == 5


def test_a_job_that_was_cancelled_is_answered_all_the_same(theatre: Theatre, folder: Path) -> None:
    """Ours: its events are refused, its mail is not."""
    theatre.refuses_events = "closed: job j-1 has ended (cancelled)"
    theatre.tell("manager", f"Survey {folder}", about=About(job="j-1"))
    theatre.play()
    assert "| Files | 4 |" in report_of(theatre)


@pytest.mark.parametrize(("event", "told"), [("completed", 0), ("error", 1)])
def test_the_end_of_a_part_is_passed_on_if_it_is_a_bad_one(theatre: Theatre, event: str, told: int) -> None:
    """Ours: the manager knows of the good ones by their answers."""
    theatre.tell("manager", f'job j-7 has ended: {event}. It says: "x"', sender="system", kind="system")
    theatre.play()
    assert len(theatre.operator) == told
