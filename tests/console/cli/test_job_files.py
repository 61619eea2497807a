"""job export, job import: whole files or none, whatever is killed; older records, one file for each job."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.cli import job_files
from tests.console.cli.test_job_reconcile import a_session
from tests.console.cli.test_jobs import ID, a_job, an_event
from tests.console.conftest import Terminal
from wire.errors import Invalid
from wire.jobs import JobsImported, JobsSessionsListed, JobsShown

WRITES_ON = """
import sys
from pathlib import Path
from console.cli.job_files import write_whole
for number in range(10**9):
    write_whole(Path(sys.argv[1]), f"sessions:\\n" + f"- job: j-{number}\\n" * 2000)
    print(flush=True)
"""


@pytest.mark.timeout(120)
def test_an_export_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    """[X12] kill -9 in mid-write, and a reader beside it: the file always parses, and all of it is of one writing."""
    file = tmp_path / "agent-sessions.yaml"
    for writes in range(1, 6):
        line = [sys.executable, "-P", "-c", WRITES_ON, str(file)]
        with subprocess.Popen(line, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(writes):
                child.stdout.readline()
                assert_whole(file)
            child.kill()
        assert_whole(file)


def assert_whole(file: Path) -> None:
    """Read it as a program would."""
    sessions = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)["sessions"]
    assert len(sessions) == 2000
    assert len({one["job"] for one in sessions}) == 1


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_an_export_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """[X12] A full disk: said, the older file is whole, and no draft is left behind."""
    file = tmp_path / "jobs.yaml"
    job_files.write_whole(file, "older")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job_files.os, broken, fail)
    with pytest.raises(Invalid, match="No space left"):
        job_files.write_whole(file, "newer")
    assert file.read_text() == "older"
    assert os.listdir(tmp_path) == ["jobs.yaml"]


async def test_jobs_are_exported_with_all_their_events(terminal: Terminal, tmp_path: Path) -> None:
    """[X19] DESIGN 7: readable, page by page, as YAML or JSON; never a secret."""
    pages = {
        0: JobsShown(job=a_job(), events=[an_event(number=7)], more=True),
        7: JobsShown(job=a_job(), events=[an_event(number=9, seq=3, detail="d\u00e9j\u00e0")]),
    }
    terminal.broker.answers["jobs.show"] = lambda frame: pages[frame.get("after", 0)]
    for name, read in (("jobs.json", json.loads), ("jobs.yaml", yaml.safe_load)):
        file = tmp_path / name
        result = await terminal.type("job", "export", ID, "--to", str(file))
        assert (result.exit_code, result.stdout) == (0, ""), result.output
        (job,) = read(file.read_text(encoding="utf-8"))["jobs"]
        assert (job["id"], [event["number"] for event in job["events"]]) == (ID, [7, 9])
        assert "secret" not in job
    printed = await terminal.type("job", "export", ID)
    assert yaml.safe_load(printed.stdout)["jobs"][0]["events"][1]["detail"] == "d\u00e9j\u00e0"


async def test_sessions_are_exported(terminal: Terminal) -> None:
    """[X10] [X12] All of them, page by page."""
    pages = {
        None: JobsSessionsListed(sessions=[a_session(epoch=2)], next=5),
        5: JobsSessionsListed(sessions=[a_session(state="archived")]),
    }
    terminal.broker.answers["jobs.sessions"] = lambda frame: pages[frame.get("before")]
    result = await terminal.type("job", "export", "--format", "json")
    sessions = json.loads(result.stdout)["sessions"]
    assert [(one["epoch"], one["state"]) for one in sessions] == [(2, "running"), (1, "archived")]


async def test_older_records_are_taken_over(terminal: Terminal, tmp_path: Path) -> None:
    """[X19] One JSON file for each job, in the shapes there were; a repetition says so."""
    records: dict[str, dict[str, Any]] = {
        "a": {"job_id": "old-1", "status": "running", "prompt": "one", "created_at": "2026-01-02T03:04:05+00:00"},
        "b": {"status": "done", "data": {"task": "two"}, "created_at": 1_700_000_000.5, "auth_token": "t" * 43},
        "c": {"id": "old-3", "description": "three", "auth_token": "short"},
    }
    for name, record in records.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    terminal.broker.answers["jobs.import"] = lambda frame: JobsImported(job=f"j-{frame['old_id']}", made=True)
    result = await terminal.type("job", "import", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["old-1 is j-old-1", "b is j-b", "old-3 is j-old-3"]
    asked = {frame["old_id"]: frame for frame in terminal.broker.seen()}
    assert {name: frame["prompt"] for name, frame in asked.items()} == {"old-1": "one", "b": "two", "old-3": "three"}
    assert (asked["b"]["state"], asked["b"]["registered_at_ms"]) == ("completed", 1_700_000_000_500)
    assert asked["b"]["secret"] == "t" * 43
    assert "secret" not in asked["old-3"]
    assert asked["old-1"]["registered_at_ms"] == 1_767_323_045_000
    assert "t" * 43 not in result.output


async def test_a_record_that_cannot_be_read_is_named_and_left_out(terminal: Terminal, tmp_path: Path) -> None:
    """[X19] Issue 5: the others are taken over; exit 1."""
    for name, text in (
        ("a", "no JSON"),
        ("b", "[]"),
        ("c", '{"prompt": "x", "status": "lost"}'),
        ("d", "{}"),
        ("e", '{"prompt": "x"}'),
        ("f", '{"prompt": "x", "created_at": "yesterday"}'),
    ):
        (tmp_path / f"{name}.json").write_text(text)
    (tmp_path / "g.json").mkdir()
    terminal.broker.answers["jobs.import"] = lambda _: JobsImported(job=ID, made=False)
    result = await terminal.type("job", "import", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, f"e is {ID}, as before\n")
    for name in "abcdfg":
        assert f"{name}.json" in result.stderr
    assert "6 of 7 records were left out" in result.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    nothing = await terminal.type("job", "import", str(empty))
    assert (nothing.exit_code, "no .json file" in nothing.stderr) == (1, True)


async def test_an_export_that_cannot_be_written_is_refused(terminal: Terminal, tmp_path: Path) -> None:
    """Issue 5: one line, exit 1."""
    terminal.broker.answers["jobs.show"] = lambda _: JobsShown(job=a_job())
    result = await terminal.type("job", "export", ID, "--to", str(tmp_path / "nowhere" / "jobs.yaml"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot write" in result.stderr


async def test_what_is_wrong_with_a_record_is_named(terminal: Terminal, tmp_path: Path) -> None:
    """[X19] Ours: the field as the record calls it, and nothing of what stands there."""
    for name, fields in (
        ("a", {"job_id": "o" * 201}),
        ("b", {"created_at": -1}),
        ("c", {"created_at": float("inf")}),
        ("d", {"created_at": "yesterday"}),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps({"prompt": "x", **fields}))
    terminal.broker.answers["jobs.import"] = lambda _: JobsImported(job=ID, made=True)
    result = await terminal.type("job", "import", str(tmp_path))
    lines = {line.partition(".json: ")[0][-1]: line.partition(".json: ")[2] for line in result.stderr.splitlines()}
    assert lines["a"].startswith("job_id: ")
    assert lines["b"].startswith("created_at: ")
    assert lines["c"].startswith("created_at: ")
    assert lines["d"].startswith("created_at: ")
    assert "ooo" not in result.stderr


async def test_a_secret_that_is_none_here_is_replaced_and_that_is_said(terminal: Terminal, tmp_path: Path) -> None:
    """[X17] [X19] Whoever has the older one learns why nothing that it signs is taken; it is not printed."""
    for name, token in (("a", "weak-one"), ("b", "t" * 43), ("c", "t" * 40 + "\n"), ("d", "\u00e9" * 40)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"prompt": "x", "auth_token": token}))
    terminal.broker.answers["jobs.import"] = lambda frame: JobsImported(job=f"j-{frame['old_id']}", made=True)
    result = await terminal.type("job", "import", str(tmp_path))
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 4)
    said = [line for line in result.stderr.splitlines() if "auth_token is not 32 to 256" in line]
    assert [line.partition(".json")[0][-1] for line in said] == ["a", "c", "d"]
    assert "weak-one" not in result.output
    assert [frame.get("secret") for frame in terminal.broker.seen()] == [None, "t" * 43, None, None]


async def test_a_file_in_the_place_of_an_id_is_named(terminal: Terminal) -> None:
    """Ours: `job export ID FILE` without --to says which word is no job id, and asks the broker nothing."""
    result = await terminal.type("job", "export", ID, "jobs.yaml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "'jobs.yaml' is no job id" in result.stderr
    assert terminal.broker.seen() == []
