"""explain of a job: why it stands where it does, and all that happened."""

from typing import Any

import pytest

from tests.console.cli.test_job_reconcile import a_session
from tests.console.cli.test_job_watch import an_ask
from tests.console.cli.test_jobs import ID, a_job, an_event
from tests.console.conftest import NOW_MS, Terminal
from wire.errors import Denied, Unknown
from wire.jobs import JobsSessionsListed, JobsShown


@pytest.mark.parametrize(
    ("job", "session", "asks", "says"),
    [
        ({"state": "pending"}, None, [], f"`queenpost job claim {ID}`"),
        ({"state": "pending", "to": "bob", "message": "m4"}, None, [], "`queenpost explain m4` tells where"),
        ({"claimed_by": "bob", "epoch": 2}, {"turn": "t7"}, [], "bob works on it in turn t7 (claim 2)"),
        ({}, {}, [an_ask()], "`queenpost answer a3 allow` or deny"),
        ({}, {"state": "terminated", "reason": "turn t7 ended"}, [], "nobody works on it: turn t7 ended"),
        ({"claimed_by": "bob", "overdue": True}, {}, [], "bob is silent past the time-out"),
        ({"state": "completed"}, {"state": "stopped"}, [], ""),
    ],
)
async def test_it_says_what_a_job_waits_for(
    terminal: Terminal, job: dict[str, Any], session: dict[str, Any] | None, asks: list[Any], says: str
) -> None:
    """[P01] DESIGN 10: in words, with the command that helps."""
    terminal.broker.answers["jobs.show"] = lambda _: JobsShown(job=a_job(**job), asks=asks)
    sessions = [] if session is None else [a_session(**session)]
    terminal.broker.answers["jobs.sessions"] = lambda _: JobsSessionsListed(sessions=sessions)
    told = await terminal.json("explain", ID)
    assert told["noun"] == "job"
    assert told["waits_for"] is None if not says else says in told["waits_for"]


async def test_all_that_happened_is_told_in_its_order(terminal: Terminal) -> None:
    """DESIGN 10: registration, claims, events on every page, asks and how they ended, what was refused."""
    first = an_event(number=1, event="started", received_at_ms=NOW_MS + 20)
    late = an_event(number=2, verdict="late", detail="still\x1b[2J", received_at_ms=NOW_MS + 60)
    ask = an_ask(state="answered", answer="allow", asked_at_ms=NOW_MS + 30, ended_at_ms=NOW_MS + 40)
    shown = JobsShown(job=a_job(state="error"), events=[first], asks=[ask], refused={"signature": 2}, more=True)
    terminal.broker.answers["jobs.show"] = lambda frame: (
        JobsShown(job=shown.job, events=[late]) if frame.get("after") else shown
    )
    session = a_session(started_at_ms=NOW_MS + 10, state="terminated", reason="cancelled", ended_at_ms=NOW_MS + 50)
    terminal.broker.answers["jobs.sessions"] = lambda _: JobsSessionsListed(sessions=[session])
    told = await terminal.json("explain", ID)
    assert [step["event"] for step in told["history"]] == [
        "registered", "claimed", "started", "asked", "answered", "claim ended", "progress",
    ]  # fmt: skip
    assert told["facts"]["refused"] == "signature 2"
    assert told["history"][-1]["detail"].startswith("late: ")
    printed = await terminal.type("explain", ID)
    assert "\x1b[2J" not in printed.stdout
    assert "a3: allow" in printed.stdout


async def test_an_agent_is_told_its_own_without_the_sessions(terminal: Terminal) -> None:
    """DESIGN 4: who works on what is the operator's; an unknown job reads like a foreign one."""
    terminal.broker.answers["jobs.show"] = lambda _: JobsShown(job=a_job(claimed_by="bob", epoch=1))
    terminal.broker.answers["jobs.sessions"] = lambda _: Denied("for the operator")
    told = await terminal.json("explain", ID, "--as", "bob")
    assert told["waits_for"] == "bob works on it (claim 1)"
    terminal.broker.answers["jobs.show"] = lambda _: Unknown("no job that you may use")
    result = await terminal.type("explain", ID)
    assert (result.exit_code, "no job that you may use" in result.stderr) == (1, True)
