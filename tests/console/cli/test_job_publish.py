"""job claim, job publish: a program outside the fleet, over a real MQTT broker; and what it gets wrong."""

import errno
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from click.testing import Result

from console.cli import job_publish
from tests.console.job_terminal import JobTerminal, job_terminal
from tests.fakes.broker import BrokerProcess, short_home
from wire.asks import AsksList, AsksListed
from wire.client import BrokerClient
from wire.events import read_event
from wire.jobs import JobsTransport, JobsTransported
from wire.mqtt import connected
from wire.outbox import Outbox
from wire.records import transport_of

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def terminal() -> AsyncIterator[JobTerminal]:
    """A fleet with jobs."""
    async with job_terminal() as terminal:
        yield terminal


async def test_a_job_from_registration_to_its_end(terminal: JobTerminal, tmp_path: Path) -> None:
    """[X01] [X06] [X08] Register, claim, publish; who watches behind the end sees all of it, and exits 0."""
    job = (await terminal.done("job", "register", "--prompt", "count the pumps")).strip()
    claimed = await terminal.json("job", "claim", job)
    secret = Path(claimed["secret_file"])
    assert secret.stat().st_mode & 0o777 == 0o600
    assert json.loads(secret.read_text())["secret"] not in json.dumps(claimed)
    for words in (("started",), ("progress", "half", "--data", '{"percent": 50}'), ("completed", "12 pumps")):
        told = await terminal.json("job", "publish", job, *words)
        assert (told["recorded"], told["verdict"], told["duplicate"]) == (True, "accepted", False)
    events = tmp_path / "events.ndjson"
    watched = await terminal.type("job", "watch", job, "--file", str(events))
    assert watched.exit_code == 0
    assert "12 pumps" in watched.stdout
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert [(one["event"], one["verified"]) for one in lines] == [
        ("started", True),
        ("progress", True),
        ("completed", True),
    ]
    assert lines[1]["data"] == {"percent": 50}


async def test_a_claim_comes_from_a_descriptor_too(terminal: JobTerminal) -> None:
    """DESIGN 4: inherited, so that a supervisor may open what its program may not."""
    job = await terminal.claimed("--secret-file", str(terminal.fleet.home.root / "kept"))
    publish = f"from console.cli import main; main(['job', 'publish', '{job}', 'started', '--secret-fd', '7'])"
    line = f'exec "$0" -P -c "$1" 7< {terminal.fleet.home.root / "kept"}'
    environment = {**os.environ, "QUEENPOST_HOME": str(terminal.fleet.home.root)}
    done = await anyio.run_process(["bash", "-c", line, sys.executable, publish], env=environment)
    assert f"started is recorded as event 1 of {job}" in done.stdout.decode()
    for words, code in ((("--secret-fd", "77"), 1), (("--secret-fd", "0", "--secret-file", "x"), 2)):
        assert (await terminal.type("job", "publish", job, "started", *words)).exit_code == code


@pytest.mark.parametrize("harm", ["a file", "others", "full"])
async def test_a_claim_whose_usual_folder_is_unfit_is_not_made(
    terminal: JobTerminal, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """Issue 5: it would end the one before it, and nobody would have the secret of the new one."""
    job = await terminal.claimed()
    kept = terminal.fleet.home.secrets / "jobs"
    kept.rename(kept.with_name("before"))
    with monkeypatch.context() as patch:
        if harm == "a file":
            kept.write_text("")
        else:
            kept.mkdir()
            kept.chmod(0o777 if harm == "others" else 0o700)
        if harm == "full":
            patch.setattr(job_publish, "draft_secret", no_room)
        refused = await terminal.type("job", "claim", job)
    assert refused.exit_code == 1
    assert str(kept) in refused.stderr
    assert (await terminal.json("job", "show", job))["epoch"] == 1


def no_room(_path: Path, _text: str) -> Path:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_an_error_and_a_cancel_are_told_by_the_exit_code_of_a_watch(terminal: JobTerminal) -> None:
    """[X08] 4 and 5; also for who comes late."""
    job = await terminal.claimed()
    await terminal.done("job", "publish", job, "error", "no pumps")
    assert (await terminal.type("job", "watch", job)).exit_code == 4
    other = await terminal.claimed()
    await terminal.done("job", "cancel", other, "--reason", "not needed")
    assert (await terminal.type("job", "watch", other)).exit_code == 5


async def test_what_comes_behind_the_end_is_said_to_be_late_or_conflicting(terminal: JobTerminal) -> None:
    """DESIGN 7: late ones are recorded, a second end is refused; the first end stands."""
    job = await terminal.claimed()
    await terminal.done("job", "publish", job, "completed")
    late = await terminal.type("job", "publish", job, "progress", "still at it")
    assert late.exit_code == 0
    assert "is recorded as event 2" in late.stdout
    assert "late" in late.stdout
    second = await terminal.type("job", "publish", job, "error", "it broke")
    assert second.exit_code == 1
    assert "its first end stands" in second.stderr
    assert (await terminal.json("job", "show", job))["state"] == "completed"


async def test_a_claim_that_is_over_says_so(terminal: JobTerminal) -> None:
    """[P14] Fencing: who has lost the claim learns it, and nothing of what it says is taken."""
    job = await terminal.claimed("--secret-file", str(terminal.fleet.home.root / "first"))
    await terminal.done("job", "claim", job)
    stale = await terminal.type(
        "job", "publish", job, "completed", "--secret-file", str(terminal.fleet.home.root / "first")
    )
    assert stale.exit_code == 1
    assert f"claim 1 of {job} is over" in stale.stderr
    shown = await terminal.json("job", "show", job)
    assert (shown["state"], shown["events"]) == ("running", [])
    assert set(shown["refused"]) <= {"fenced"}  # it may have learnt of the claim before it sent anything


async def test_an_end_that_was_kept_is_not_said_twice(terminal: JobTerminal) -> None:
    """Issue 5: a command that was broken off is repeated; there is one end, and it says duplicate."""
    job = await terminal.claimed()
    broken_off = await terminal.type("job", "publish", job, "completed", "done", "--within", "0")
    again = await terminal.json("job", "publish", job, "completed", "done")
    assert again["recorded"]
    if broken_off.exit_code:  # it was not recorded at once
        assert again["duplicate"]
        assert again["seq"] == 1
        assert (await terminal.json("job", "show", job))["event_count"] == 1


IN_NO_EVENT = [
    (("progress", "x" * 4097), "at most 4096 characters"),
    (("progress", "--data", '{"a": 1.5}'), "float"),
    (("progress", "--data", '{"a": NaN}'), "float"),
    (("progress", "--data", '{"auth_token": "x"}'), "auth_token"),
    (("progress", "--data", '{"deep": [{"hmac_sig": "x"}]}'), "hmac_sig"),
    (("progress", "--data", "[1]"), "an object"),
    (("progress", "--data", "{"), "not JSON"),
    (("progress", "--data", "[" * 30_000), "nested too deep"),
    (("progress", "--data", '{"a": 1, "a": 2}'), "twice"),
    (("progress", "--data", '{"Big": 1}'), "Big"),
    (("progress", "--data", json.dumps({"a": "y" * 70_000})), "65536"),
]
"""Words behind the id of a job, and what is said about them."""


async def test_what_no_event_can_hold_is_refused_before_it_is_kept(terminal: JobTerminal) -> None:
    """[X16] Reliability 4.2: refused here, with nothing sent and no number used up."""
    job = await terminal.claimed()
    for words, says in IN_NO_EVENT:
        result = await terminal.type("job", "publish", job, *words)
        assert (result.exit_code, result.stdout) == (1, ""), words
        assert says in result.stderr
    with Outbox(terminal.fleet.home.root / "publishers" / job / "outbox.db") as outbox:
        assert outbox.count() == 0
        assert outbox.add(job, 1, "t", lambda seq: str(seq).encode(), retain=False) == 1


async def test_a_claim_that_is_missing_or_foreign_is_refused(terminal: JobTerminal, tmp_path: Path) -> None:
    """Issue 5: unknown job, no claim, a file that others may read, one that is none, a folder above."""
    first, second = await terminal.claimed(), await terminal.claimed()
    secrets = terminal.fleet.home.secrets / "jobs"
    (tmp_path / "open").write_text("{}")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "none").write_text("no claim")
    (tmp_path / "none").chmod(0o600)
    for words, says in (
        (("j-nobody",), "`queenpost job claim j-nobody` makes it"),
        (("../jobs",), "is no job id"),
        ((first, "--secret-file", str(secrets / second)), f"holds no claim of {first}"),
        ((first, "--secret-file", str(tmp_path / "open")), "chmod 600"),
        ((first, "--secret-file", str(tmp_path / "none")), f"holds no claim of {first}"),
    ):
        result = await terminal.type("job", "publish", words[0], "started", *words[1:])
        assert (result.exit_code, result.stdout) == (1, ""), words
        assert says in result.stderr
    usage = await terminal.type("job", "publish", first, "finished")
    assert usage.exit_code == 2
    assert "'permission_required'" in usage.stderr


async def test_a_claim_that_could_not_be_kept_is_not_made(terminal: JobTerminal, tmp_path: Path) -> None:
    """Ours: a folder that is not there uses up no claim, and fences nobody."""
    job = await terminal.claimed()
    place = str(tmp_path / "nowhere" / "claim")
    result = await terminal.type("job", "claim", job, "--secret-file", place)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"cannot write {place}" in result.stderr
    assert "nothing was claimed" in result.stderr
    assert (await terminal.json("job", "show", job))["epoch"] == 1
    assert "event 1" in await terminal.done("job", "publish", job, "started")


async def test_the_decision_on_a_permission_is_shown_on_the_job(terminal: JobTerminal) -> None:
    """[X20] Asked from outside the fleet: the operator's answer stands on the job, for who watches and who looks."""
    job = await terminal.claimed()
    await terminal.done("job", "publish", job, "permission_required", "push to main")
    (ask,) = await terminal.json("asks", "--to-me")
    assert "push to main" in ask["question"]
    assert f"queenpost answer {ask['id']} allow" in await terminal.done("explain", job)
    await terminal.done("answer", ask["id"], "allow")
    assert [(one["state"], one["answer"]) for one in (await terminal.json("job", "show", job))["asks"]] == [
        ("answered", "allow")
    ]
    await terminal.done("job", "publish", job, "completed")
    watched = await terminal.type("job", "watch", job)
    assert f"{ask['id']} answered: allow" in watched.stderr


async def answered(terminal: JobTerminal, operator: BrokerClient, words: str, answer: str) -> None:
    """Answer the ask with these words, as soon as it is put."""
    while True:
        asks = (await operator.call(AsksList(to_me=True), AsksListed)).asks
        if found := [one for one in asks if one.question.endswith(f": {words}")]:
            await terminal.done("answer", found[0].id, answer)
            return
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(("answer", "code"), [("allow", 0), ("deny", 8)])
async def test_a_program_waits_for_the_answer_to_its_own_question(
    terminal: JobTerminal, answer: str, code: int
) -> None:
    """[X20] It goes on with `allow` alone; what was allowed before, or to another question, allows nothing."""
    job = await terminal.claimed()
    operator = await terminal.fleet.operator()
    ask = ("job", "publish", job, "permission_required")
    await terminal.done(*ask, "close valve 8")
    results: list[Result] = []

    async def wait() -> None:
        results.append(await terminal.type(*ask, "close  valve 7", "--decision"))

    for _ in range(2):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await answered(terminal, operator, "close valve 7", answer)
    assert [(one.exit_code, one.stdout) for one in results] == [(code, f"{answer}\n")] * 2
    shown = await terminal.json("job", "show", job)
    assert [one["state"] for one in shown["asks"]] == ["open", "answered", "answered"]
    await terminal.done("job", "publish", job, "completed")
    late = await terminal.type(*ask, "close valve 7", "--decision")
    assert late.exit_code == 1
    assert "nobody was asked" in late.stderr
    assert (await terminal.type("job", "publish", job, "progress", "--decision")).exit_code == 2


async def test_a_program_whose_job_is_cancelled_waits_no_more(terminal: JobTerminal) -> None:
    """[X20] What was asked ends with the job: exit 8, as nobody allowed it."""
    job = await terminal.claimed()
    operator = await terminal.fleet.operator()
    results: list[Result] = []

    async def wait() -> None:
        results.append(await terminal.type("job", "publish", job, "permission_required", "valve 7", "--decision"))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        while not (await operator.call(AsksList(to_me=True), AsksListed)).asks:
            await anyio.lowlevel.checkpoint()
        await terminal.done("job", "cancel", job)
    assert [(one.exit_code, one.stdout) for one in results] == [(8, "")]


async def test_who_subscribes_behind_the_end_is_told_it(terminal: JobTerminal) -> None:
    """[X06] The last event is retained by the MQTT broker: for programs that know no link."""
    job = await terminal.claimed()
    await terminal.done("job", "publish", job, "completed", "12 pumps")
    operator = await terminal.fleet.operator()
    told = await operator.call(JobsTransport(user="watcher"), JobsTransported, timeout_s=40)
    async with connected(transport_of(told), "late", clean=True) as line:
        await line.subscribe(f"{told.prefix}/jobs/{job}/events")
        with anyio.fail_after(30):
            heard = await anext(aiter(line.heard))
    event = read_event(heard.payload).event
    assert (event.event, event.job_id, event.detail) == ("completed", job, "12 pumps")


async def test_an_mqtt_broker_that_is_down_is_said_and_the_event_kept() -> None:
    """[X07] Exit 1 within the time that was given, with the reason; the same number is sent by the next one."""
    with socket.socket() as unused, short_home() as home:
        unused.bind(("127.0.0.1", 0))  # not listening: whoever connects is refused
        home.create()
        url = f"mqtt://127.0.0.1:{unused.getsockname()[1]}"
        (home.root / "queenpost.toml").write_text(f'[mqtt]\nurl = "{url}"\n', encoding="utf-8")
        async with BrokerProcess(home) as fleet:
            terminal = JobTerminal(fleet)
            job = await terminal.claimed()
            for _ in range(2):
                result = await terminal.type("job", "publish", job, "completed", "--within", "0.5")
                assert result.exit_code == 1
                assert f"completed is kept as event 1 of {job}" in result.stderr
                assert "The next `job publish` sends it again" in result.stderr
