"""job register, list, show, cancel: what is asked of the broker, what is printed, what is refused."""

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from tests.console.conftest import NOW_MS, Terminal
from wire.asks import Ask
from wire.errors import Unknown
from wire.jobs import Job, JobEvent, JobsChanged, JobsListed, JobsRegistered, JobsShown

ID = "j-aebagbafaydqqcik"
SECRET = "s3" * 20


def a_job(**fields: Any) -> Job:
    """Make a job as the broker shows it."""
    common = {"id": ID, "state": "running", "prompt": "count the pumps", "made_by": "operator"}
    return Job.model_validate({**common, "registered_at_ms": NOW_MS, **fields})


def an_event(**fields: Any) -> JobEvent:
    """Make an event as it was recorded."""
    common = {"number": 7, "job": ID, "event": "progress", "epoch": 1, "seq": 2, "verdict": "accepted"}
    said = {"timestamp": "2026-11-21T10:00:00.000Z", "received_at_ms": NOW_MS, "detail": "half"}
    return JobEvent.model_validate({**common, **said, **fields})


async def test_register_prints_the_id_and_nothing_else(terminal: Terminal) -> None:
    """[X01] For scripts: the id alone on stdout; the prompt from an argument, an option or stdin."""
    terminal.broker.answers["jobs.register"] = lambda _: JobsRegistered(job=ID, to="bob", message="m4")
    for words, stdin in ((("count",), None), (("--prompt", "count"), None), (("-",), "count")):
        result = await terminal.type("job", "register", *words, "--to", "bob", "--timeout", "10m", stdin=stdin)
        assert (result.exit_code, result.stdout) == (0, f"{ID}\n")
        request = await terminal.broker.next("jobs.register")
        assert (request["prompt"], request["to"], request["timeout_s"]) == ("count", "bob", 600.0)
        assert request["replay"] == "window"
        assert "secret" not in request  # the broker makes one
        assert request.get("freshness_s") is None
    assert await terminal.json("job", "register", "count", "--strict") == snapshot(
        {"id": "j-aebagbafaydqqcik", "to": "bob", "message": "m4", "warnings": []}
    )


async def test_a_secret_comes_from_a_file_or_stdin_alone(terminal: Terminal, tmp_path: Path) -> None:
    """[X17] A literal value is refused: argv is public. What was given is never printed."""
    terminal.broker.answers["jobs.register"] = lambda _: JobsRegistered(job=ID)
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    result = await terminal.type("job", "register", "count", "--auth-token", str(file))
    assert result.exit_code == 0, result.output
    assert SECRET not in result.output
    assert (await terminal.broker.next("jobs.register"))["secret"] == SECRET
    code = "from console.cli import main; main()"  # by the descriptor: a program of its own
    words = [sys.executable, "-P", "-c", code, "--home", str(terminal.home.root), "job", "register", "count"]
    done = await anyio.run_process([*words, "--auth-token", "-"], input=SECRET.encode())
    assert SECRET.encode() not in done.stdout + done.stderr
    assert (await terminal.broker.next("jobs.register"))["secret"] == SECRET


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (None, 0, "a secret in argv is public"),
        ("short", 0o600, "32 to 256 letters"),
        ("with blanks " * 4, 0o600, "32 to 256 letters"),
        (SECRET, 0o644, "chmod 600"),
        ("", 0o600, "is empty"),
    ],
)
async def test_a_wrong_auth_token_is_refused_without_being_shown(
    terminal: Terminal, tmp_path: Path, content: str | None, mode: int, says: str
) -> None:
    """[X17] Issue 5: a literal value, a file that others read, no secret; the broker is not asked."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    given = str(file) if content is not None else SECRET
    result = await terminal.type("job", "register", "count", "--auth-token", given)
    assert (result.exit_code, result.stdout) == (1, "")
    assert says in result.stderr
    assert SECRET not in result.stderr
    assert terminal.broker.seen() == []


async def test_a_folder_is_no_secret(terminal: Terminal, tmp_path: Path) -> None:
    """Issue 5: said as for a literal value."""
    result = await terminal.type("job", "register", "count", "--auth-token", str(tmp_path))
    assert (result.exit_code, "takes a FILE" in result.stderr) == (1, True)


@pytest.mark.parametrize("words", [(), ("a", "--prompt", "b"), ("-", "--auth-token", "-"), ("a", "--timeout", "soon")])
async def test_a_registration_that_is_none_is_a_mistake_in_usage(terminal: Terminal, words: tuple[str, ...]) -> None:
    """[X01] DESIGN 10: exit 2, nothing is asked."""
    result = await terminal.type("job", "register", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert terminal.broker.seen() == []


async def test_jobs_are_listed(terminal: Terminal) -> None:
    """DESIGN 10: with state, who works on it and the last words; what a terminal would obey is written out."""
    rows = [
        a_job(detail="half\x1b[2J done", claimed_by="bob", overdue=True, events=3),
        a_job(id="j-b", state="pending"),
    ]
    terminal.broker.answers["jobs.list"] = lambda _: JobsListed(jobs=rows, more=True)
    result = await terminal.type("job", "list", "--state", "running", "--limit", "2")
    assert "running overdue" in result.stdout
    assert "\x1b[2J" not in result.stdout
    assert "--limit 10 shows it" in result.stderr
    request = await terminal.broker.next("jobs.list")
    assert (request["state"], request["all"], request["limit"]) == ("running", False, 2)
    (first, _) = await terminal.json("job", "list")
    assert (first["id"], first["claimed_by"], first["overdue"], first["event_count"]) == (ID, "bob", True, 3)
    terminal.broker.answers["jobs.list"] = lambda _: JobsListed(jobs=[])
    assert "--all lists those that have ended" in (await terminal.type("job", "list")).stdout


async def test_a_job_is_shown_with_its_events_asks_and_what_was_refused(terminal: Terminal) -> None:
    """[X18] DESIGN 10: what did not count is counted, and said."""
    ask = Ask(
        id="a3", kind="question", asker="operator", target="operator", question="push?", state="answered",
        answer="allow", asked_at_ms=NOW_MS, deadline_at_ms=NOW_MS,
    )  # fmt: skip
    events = [an_event(), an_event(number=8, seq=3, verdict="late", detail="still\x1b[2J")]
    shown = JobsShown(job=a_job(), events=events, asks=[ask], refused={"signature": 4, "replayed": 1})
    terminal.broker.answers["jobs.show"] = lambda _: shown
    result = await terminal.type("job", "show", ID)
    assert "count the pumps" in result.stdout
    assert "(late)" in result.stdout
    assert "a3" in result.stdout
    assert "\x1b[2J" not in result.stdout
    assert "signature 4, replayed 1" in result.stderr
    told = await terminal.json("job", "show", ID)
    assert told["refused"] == {"signature": 4, "replayed": 1}
    assert told["asks"] == [{"id": "a3", "question": "push?", "state": "answered", "answer": "allow"}]
    assert [(one["seq"], one["verdict"]) for one in told["events"]] == [(2, "accepted"), (3, "late")]


async def test_the_freshness_of_a_job_is_registered_and_shown(terminal: Terminal) -> None:
    """[X18] Optional, in the words of every duration; a job without one says nothing of it."""
    terminal.broker.answers["jobs.register"] = lambda _: JobsRegistered(job=ID)
    assert (await terminal.type("job", "register", "count", "--freshness", "1h30m")).exit_code == 0
    assert (await terminal.broker.next("jobs.register"))["freshness_s"] == 5400.0
    for wrong in ("soon", "0", "-5", "31d"):
        assert (await terminal.type("job", "register", "count", "--freshness", wrong)).exit_code in {1, 2}, wrong
    assert terminal.broker.seen() == []
    terminal.broker.answers["jobs.show"] = lambda _: JobsShown(job=a_job(freshness_s=5400.0))
    assert " 5400 s\n" in (await terminal.type("job", "show", ID)).stdout
    assert (await terminal.json("job", "show", ID))["freshness_s"] == 5400.0
    terminal.broker.answers["jobs.show"] = lambda _: JobsShown(job=a_job(freshness_s=2592000.0))
    assert " 2592000 s\n" in (await terminal.type("job", "show", ID)).stdout
    terminal.broker.answers["jobs.show"] = lambda _: JobsShown(job=a_job())
    assert "freshness" not in (await terminal.type("job", "show", ID)).stdout
    assert (await terminal.json("job", "show", ID))["freshness_s"] is None


async def test_a_job_that_is_unknown_or_no_id_is_one_line(terminal: Terminal) -> None:
    """Issue 5: exit 1; an id with `+ # /` never leaves this machine."""
    for op in ("jobs.show", "jobs.watch", "jobs.cancel", "jobs.claim"):
        terminal.broker.answers[op] = lambda _: Unknown("no job 'j-x' that you may use")
    for verb in ("show", "watch", "cancel", "claim", "export", "sessions"):
        result = await terminal.type("job", verb, "j-x")
        assert (result.exit_code, result.stdout) == (1, ""), verb
        assert "no job 'j-x'" in result.stderr
    terminal.broker.seen()
    for verb in ("show", "watch", "cancel", "claim", "export", "sessions"):
        for name in ("a+b", "#", "a/b", "", "$SYS", "A", "x" * 65, "\u0430"):
            result = await terminal.type("job", verb, "--", name)
            assert (result.exit_code, result.stdout) == (1, ""), (verb, name)
    assert terminal.broker.seen() == []


async def test_a_cancel_says_what_each_job_is_now(terminal: Terminal) -> None:
    """DESIGN 7: an ended one stays as it ended."""
    terminal.broker.answers["jobs.cancel"] = lambda frame: (
        JobsChanged(job=a_job(id=frame["job"], state="cancelled"), changed=True)
        if frame["job"] == "j-a"
        else JobsChanged(job=a_job(id=frame["job"], state="completed"), changed=False)
    )
    result = await terminal.type("job", "cancel", "j-a", "j-b", "--reason", "no more")
    assert result.stdout.splitlines() == ["j-a: cancelled", "j-b: completed, as before"]
    assert (await terminal.broker.next("jobs.cancel"))["reason"] == "no more"
    assert (await terminal.type("job", "cancel")).exit_code == 2
