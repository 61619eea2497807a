"""job sessions, job reconcile: each way in which jobs and what runs drift apart, and what is repaired of it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from console import job_processes
from console.cli.job_reconcile import drift_of
from tests.console.cli.test_jobs import ID
from tests.console.conftest import NOW_MS, Terminal
from tests.console.job_terminal import JobTerminal, job_terminal
from tests.console.tmux import Tmux, private_tmux
from wire.jobs import JobsReconciled, JobsSessionsListed, Session

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="left out: tmux is not installed")
pytestmark = pytest.mark.timeout(120)


def a_session(**fields: Any) -> Session:
    """Make a session as the broker shows it."""
    common = {"job": ID, "epoch": 1, "claimed_by": "operator", "state": "running", "started_at_ms": NOW_MS}
    return Session.model_validate({**common, **fields})


ENDED: dict[str, Any] = {"job_state": "completed", "state": "stopped", "ended_at_ms": NOW_MS}
TAKEN: dict[str, Any] = {"newest": False, "state": "terminated", "reason": "claimed again"}


@pytest.mark.parametrize(
    ("fields", "alive", "busy", "kind"),
    [
        ({}, True, True, None),
        ({}, None, False, None),
        ({}, False, False, "running without process"),
        ({"state": "terminated", "reason": "turn t7 ended"}, None, False, "running without process"),
        (TAKEN, True, False, "process without job"),
        (TAKEN, True, True, None),
        (TAKEN, False, False, None),
        (ENDED, True, False, "ended but alive"),
        (ENDED, True, True, None),
        (ENDED, False, False, None),
        (ENDED, None, False, None),
        ({**ENDED, "turn": "t7", "turn_open": True}, None, False, None),
        ({**ENDED, "turn": "t7", "turn_open": True, "ended_at_ms": NOW_MS - 61_000}, None, False, "ended but alive"),
    ],
)
def test_each_drift_is_told_from_the_others(
    fields: dict[str, Any], alive: bool | None, busy: bool, kind: str | None
) -> None:
    """[X09] Issue 5: running without process, process without job, ended but alive; what nobody can see is none."""
    process = None if alive is None else job_processes.JobProcess("here", 7, "name")
    found = drift_of(a_session(**fields), process, alive, busy, NOW_MS)
    assert (found.kind if found else None) == kind


async def test_sessions_are_listed_page_by_page(terminal: Terminal) -> None:
    """[X10] Who worked on jobs, with the state of each session."""
    states = ("running", "stopped", "terminated", "archived")
    pages = [
        JobsSessionsListed(sessions=[a_session(state=state, turn="t7") for state in states[:2]], next=5),
        JobsSessionsListed(sessions=[a_session(state=state, reason="was \x1b[2Jcancelled") for state in states[2:]]),
    ]
    terminal.broker.answers["jobs.sessions"] = lambda frame: pages[1 if frame.get("before") == 5 else 0]
    result = await terminal.type("job", "sessions")
    assert [line.split()[3 if "(t7)" not in line else 4] for line in result.stdout.splitlines()[1:]] == list(states)
    assert "\x1b[2J" not in result.stdout
    assert [one["state"] for one in await terminal.json("job", "sessions", "--live")] == list(states)
    terminal.broker.answers["jobs.sessions"] = lambda _: JobsSessionsListed(sessions=[])
    assert "nobody has claimed a job" in (await terminal.type("job", "sessions")).stdout


async def test_silence_is_reported_and_never_repaired(terminal: Terminal) -> None:
    """Issue 5: past its time-out; a job is ended by its events or by a person."""
    silent = a_session(overdue=True, turn="t7", turn_open=True, claimed_by="bob")
    terminal.broker.answers["jobs.sessions"] = lambda _: JobsSessionsListed(sessions=[silent])
    for words in ((), ("--repair",)):
        result = await terminal.type("job", "reconcile", *words)
        assert result.exit_code == 7
        assert f"{ID}  silent  bob was not heard" in result.stdout
    assert {frame["op"] for frame in terminal.broker.seen()} == {"jobs.sessions"}


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.kill()


async def test_what_has_ended_by_itself_is_noted_once(terminal: Terminal, child: "subprocess.Popen[bytes]") -> None:
    """Issue 5: a process that is gone is looked for no more; without --repair nothing is written."""
    written = job_processes.of_pid(child.pid).written()
    child.kill()
    child.wait(30)
    one = a_session(process=written, **ENDED)
    terminal.broker.answers["jobs.sessions"] = lambda _: JobsSessionsListed(sessions=[one])
    terminal.broker.answers["jobs.reconcile"] = lambda _: JobsReconciled(changed=True)
    assert (await terminal.type("job", "reconcile")).stdout == "nothing differs\n"
    assert (await terminal.type("job", "reconcile", "--repair")).exit_code == 0
    (noted,) = [frame for frame in terminal.broker.seen() if frame["op"] == "jobs.reconcile"]
    assert (noted["job"], noted["epoch"]) == (ID, 1)


async def test_a_process_that_works_on_another_job_is_left_alone(terminal: Terminal) -> None:
    """Issue 5: touches only its own: one worker takes job after job."""
    written = job_processes.of_pid(os.getpid()).written()
    sessions = [a_session(process=written, epoch=1, **ENDED), a_session(job="j-other", process=written)]
    terminal.broker.answers["jobs.sessions"] = lambda _: JobsSessionsListed(sessions=sessions)
    result = await terminal.type("job", "reconcile", "--repair")
    assert (result.exit_code, result.stdout) == (0, "nothing differs\n")


@pytest.fixture
def tmux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tmux]:
    """A tmux server of the test's own."""
    with private_tmux(tmp_path_factory.mktemp("t") / "s") as tmux:
        yield tmux


@pytest.fixture
async def fleet() -> AsyncIterator[JobTerminal]:
    """A fleet with jobs."""
    async with job_terminal() as terminal:
        yield terminal


@needs_tmux
async def test_the_tmux_session_of_a_job_ends_with_it_and_no_other(fleet: JobTerminal, tmux: Tmux) -> None:
    """[X09] A real tmux on a socket of its own: only the session that its claim has named; a second time nothing."""
    for name in ("ended", "at-work", "taken", "mine"):
        tmux.start(name)
    named = {name: ("--tmux", name, "--tmux-socket", str(tmux.socket)) for name in tmux.sessions()}
    ended, _ = await fleet.claimed(*named["ended"]), await fleet.claimed(*named["at-work"])
    taken = await fleet.claimed(*named["taken"])
    assert (await fleet.done("job", "reconcile")) == "nothing differs\n"
    await fleet.done("job", "publish", ended, "completed")
    await fleet.done("job", "claim", taken)
    seen = await fleet.type("job", "reconcile")
    assert seen.exit_code == 7
    assert tmux.sessions() == ["at-work", "ended", "mine", "taken"]
    repaired = await fleet.json("job", "reconcile", "--repair")
    assert {(one["kind"], one["job"], one["repaired"]) for one in repaired} == {
        ("ended but alive", ended, True),
        ("process without job", taken, True),
    }
    assert tmux.sessions() == ["at-work", "mine"]
    assert (await fleet.json("job", "reconcile", "--repair")) == []
    assert tmux.sessions() == ["at-work", "mine"]
    assert (await fleet.json("job", "show", taken))["state"] == "running"


async def test_a_job_whose_process_has_died_is_found_and_can_be_claimed_again(
    fleet: JobTerminal, child: "subprocess.Popen[bytes]"
) -> None:
    """[X10] [P14] Running without process: its session is terminated, the job goes on with the next claim."""
    job = await fleet.claimed("--pid", str(child.pid))
    assert (await fleet.json("job", "reconcile")) == []
    child.kill()
    child.wait(30)
    found = await fleet.type("job", "reconcile")
    assert found.exit_code == 7
    assert f"`queenpost job claim {job}` goes on with it" in found.stdout
    noted = await fleet.type("job", "reconcile", "--repair", "--json")
    assert noted.exit_code == 7  # a person decides what becomes of the job
    (drift,) = json.loads(noted.stdout)
    assert (drift["kind"], drift["repaired"]) == ("running without process", False)
    (session,) = await fleet.json("job", "sessions", job)
    assert (session["state"], session["process"]) == ("terminated", None)
    assert "nobody works on it" in await fleet.done("explain", job)
    await fleet.done("job", "claim", job)
    states = [one["state"] for one in await fleet.json("job", "sessions", job)]
    assert states == ["running", "terminated"]
    assert (await fleet.json("job", "reconcile")) == []
