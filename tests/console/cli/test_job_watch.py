"""job watch: what a job says until its end, on the terminal, as JSON, and in a file."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from console.cli import job_watch
from tests.console.cli.test_jobs import ID, a_job, an_event
from tests.console.conftest import NOW_MS, Terminal
from wire.asks import Ask
from wire.jobs import JobsShown


def an_ask(**fields: Any) -> Ask:
    """Make what was asked for a job."""
    common = {"id": "a3", "kind": "question", "asker": "operator", "target": "operator", "question": "push?"}
    return Ask.model_validate({**common, "state": "open", "asked_at_ms": NOW_MS, "deadline_at_ms": NOW_MS, **fields})


def answers(terminal: Terminal, *shown: JobsShown) -> None:
    """Let each watch give the next one."""
    left = list(shown)
    terminal.broker.answers["jobs.watch"] = lambda _: left.pop(0)


@pytest.mark.parametrize(("state", "code"), [("completed", 0), ("error", 4), ("cancelled", 5)])
async def test_the_exit_code_tells_how_a_job_ended(terminal: Terminal, state: str, code: int) -> None:
    """[X08] [X06] Late or not: who comes behind the end is told the same."""
    answers(terminal, JobsShown(job=a_job(state=state), events=[an_event(event=state)]))
    assert (await terminal.type("job", "watch", ID)).exit_code == code


async def test_a_watch_may_give_up_on_a_silent_job(terminal: Terminal) -> None:
    """[X08] A time-out has a code of its own; without the option it waits on."""
    answers(terminal, JobsShown(job=a_job(overdue=True), events=[an_event()]))
    result = await terminal.type("job", "watch", ID, "--until-overdue")
    assert result.exit_code == 6
    assert "silent past its time-out" in result.stderr


async def test_a_watch_gives_up_on_a_job_that_falls_silent_while_it_waits(terminal: Terminal) -> None:
    """[X08] Silence is no event, and ends no wait: the job itself is looked at when a wait has passed."""
    answers(terminal, JobsShown(job=a_job(), events=[an_event(number=7)]), JobsShown(), JobsShown())
    looks = [JobsShown(job=a_job()), JobsShown(job=a_job(overdue=True))]
    terminal.broker.answers["jobs.show"] = lambda _: looks.pop(0)
    result = await terminal.type("job", "watch", ID, "--until-overdue")
    assert result.exit_code == 6
    assert looks == []


async def test_a_watch_goes_on_behind_what_it_has_seen(terminal: Terminal) -> None:
    """[X02] Nothing twice, nothing left out: the next one is asked for behind the last, and with the decisions seen."""
    answers(
        terminal,
        JobsShown(job=a_job(), events=[an_event(number=7)], asks=[an_ask()]),
        JobsShown(),  # the wait passed
        JobsShown(job=a_job(), asks=[an_ask(state="answered", answer="allow", ended_at_ms=NOW_MS)]),
        JobsShown(job=a_job(state="completed"), events=[an_event(number=9, event="completed")], more=True),
        JobsShown(job=a_job(state="completed"), events=[an_event(number=12, verdict="late")]),
    )
    result = await terminal.type("job", "watch", ID, "--after", "3")
    assert result.exit_code == 0
    asked = [(frame.get("after", 0), frame["decided_at_ms"]) for frame in terminal.broker.seen()]
    assert asked == [(3, 0), (7, 0), (7, 0), (7, NOW_MS), (9, NOW_MS)]
    assert result.stderr.count("a3 open; `queenpost answer a3 allow` or deny") == 1
    assert result.stderr.count("a3 answered: allow") == 1
    assert "(late)" in result.stdout


async def test_programs_get_one_object_for_each_line(terminal: Terminal) -> None:
    """[X20] DESIGN 10: events, and where asks stand."""
    answers(terminal, JobsShown(job=a_job(state="error"), events=[an_event(event="error")], asks=[an_ask()]))
    result = await terminal.type("job", "watch", ID, "--json")
    event, ask = (json.loads(line) for line in result.stdout.splitlines())
    assert (event["event"], event["verified"], event["epoch"], event["seq"]) == ("error", True, 1, 2)
    assert ask == {"ask": "a3", "question": "push?", "state": "open", "answer": None}
    assert result.exit_code == 4


def test_the_last_line_of_a_file_is_durable_when_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """[X08] fsync at the terminal event, of a line that has been written whole by then; not for each of the others."""
    file = tmp_path / "events.ndjson"
    synced: list[list[str]] = []
    fsync = os.fsync

    def observed(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(file.read_text().splitlines())

    monkeypatch.setattr(job_watch.os, "fsync", observed)
    for number, event in enumerate(("started", "progress", "completed"), start=1):
        job_watch.append(file, an_event(number=number, event=event))
    (lines,) = synced
    assert [json.loads(line)["event"] for line in lines] == ["started", "progress", "completed"]


async def test_a_file_that_cannot_be_written_ends_the_watch(terminal: Terminal, tmp_path: Path) -> None:
    """Issue 5: said at once; nothing is claimed to be kept."""
    answers(terminal, JobsShown(job=a_job(state="completed"), events=[an_event()]))
    result = await terminal.type("job", "watch", ID, "--file", str(tmp_path / "nowhere" / "events"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot write to" in result.stderr
