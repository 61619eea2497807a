"""The demo, as `make demo` runs it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from console.supervisor.orphans import left_behind

pytestmark = pytest.mark.timeout(150)

CODE = "from console.cli import main; main(prog_name='queenpost')"
FAR_S = 120.0


def demo(temporary: Path, *words: str) -> subprocess.Popen[str]:
    """Start the demo, with its temporary home below a folder of the test."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", CODE, "demo", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a short path."""
    return tmp_path_factory.mktemp("d")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give something to survey."""
    for number in range(8):
        (tmp_path / f"module_{number}.py").write_text("def f():\n    return 1\n" * (number + 1))
    return tmp_path


def test_the_demo_does_its_job_and_leaves_nothing(temporary: Path, project: Path) -> None:
    """Issue 2, item 9: a killed worker's mail comes back, nothing is lost, the account adds up. [P01] [H21] [P10]"""
    program = demo(temporary, "--path", str(project), "--json")
    stdout, stderr = program.communicate(timeout=FAR_S)
    assert program.returncode == 0, stdout + stderr
    shown = json.loads(stdout)
    assert (shown["ok"], shown["problems"], shown["home"]) == (True, [], None)
    account = shown["account"]
    assert account["accepted"] == account["handled"] + account["mailbox"]
    assert (account["lost"], account["waiting"]) == (0, 0)
    assert account["redelivered"] >= 1
    (back,) = shown["came_back"]
    assert back["state"] == "handled"
    assert back["attempt"] >= 2
    assert back["turn"] != shown["killed"]["turn"]
    assert "8 text files" in shown["report"]
    check_jobs(shown["jobs"], shown["killed"]["agent"])
    assert list(temporary.iterdir()) == []


def check_jobs(jobs: list[dict[str, Any]], killed: str) -> None:
    """Issue 5: the operator's job and its two parts, each said to its end; the killed one was claimed again."""
    assert [job["state"] for job in jobs] == ["completed"] * 3
    manager, *workers = jobs
    assert (manager["claimed_by"], manager["epoch"]) == ("manager", 2)
    assert {job["claimed_by"]: job["epoch"] for job in workers} == {killed: 2, "worker-2": 1}
    for job in jobs:
        last = [event["event"] for event in job["events"] if event["epoch"] == job["epoch"]]
        assert (last[0], last[-1]) == ("started", "completed")
        assert {event["verified"] for event in job["events"]} == {True}


def test_the_demo_tells_its_story_and_keeps_the_home_if_asked(temporary: Path, project: Path) -> None:
    """Issue 2, item 9: it shows its progress, the report and the account, and says where the home is."""
    program = demo(temporary, "--path", str(project), "--keep")
    stdout, stderr = program.communicate(timeout=FAR_S)
    assert program.returncode == 0, stdout + stderr
    for words in ("operator  → manager", "program killed in the middle", "back in the inbox", "handed out again"):
        assert words in stdout
    job = re.search(r"queenpost job watch (j-\S+)", stdout)
    assert job is not None
    assert f"manager     job {job[1]} completed: reported on " in stdout
    assert "mosquitto_sub" in stdout
    assert stdout.index("JOBS  signed events") < stdout.index("ACCOUNT") < stdout.index("All is well")
    (kept,) = temporary.iterdir()
    assert str(kept) in stdout
    assert left_behind(kept / "run" / "up.children") == {}
    assert (kept / "broker.db").exists()


def test_ctrl_c_ends_the_demo_quietly_and_cleans_up(temporary: Path, project: Path) -> None:
    """Issue 2, item 9: at any moment."""
    program = demo(temporary, "--path", str(project))
    assert program.stdout is not None
    for line in program.stdout:
        if "turn t1 opens" in line:
            break
    program.send_signal(signal.SIGINT)
    _, stderr = program.communicate(timeout=FAR_S)
    assert program.returncode == 130
    assert stderr == ""
    assert list(temporary.iterdir()) == []


def test_a_folder_without_files_is_refused(temporary: Path, tmp_path: Path) -> None:
    """Ours: exit 1, and what to do."""
    program = demo(temporary, "--path", str(tmp_path))
    _, stderr = program.communicate(timeout=FAR_S)
    assert program.returncode == 1
    assert "--path" in stderr
