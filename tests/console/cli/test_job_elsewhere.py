"""job claim and job publish from another machine: over ssh and TLS, without a home of the fleet here."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio.lowlevel
import anyio.to_thread
import pytest
from click.testing import CliRunner, Result

from broker.bridge import mosquitto
from console.cli import main
from tests.console.job_terminal import JobTerminal
from tests.fakes.far import WAYS, Far
from tests.fakes.jobbing import jobbing
from wire.asks import AsksAnswer, AsksAnswered, AsksList, AsksListed
from wire.client import new_key
from wire.outbox import Outbox

pytestmark = pytest.mark.timeout(120)


@dataclass
class FarTerminal(JobTerminal):
    """Types commands on another machine, as the operator of the fleet."""

    far: Far
    state: Path

    @property
    def way(self) -> list[str]:
        """See `JobTerminal`."""
        return ["--broker", self.far.address(self.fleet), *self.far.options(self.fleet)]

    @property
    def kept(self) -> Path:
        """Give the one folder that is kept here for the fleet."""
        (folder,) = (self.state / "queenpost" / "elsewhere").iterdir()
        return folder


@pytest.fixture(params=WAYS)
async def terminal(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FarTerminal]:
    """A fleet, and a terminal that knows no home of it."""
    far, state = Far(tmp_path, request.param), tmp_path / "state"
    for name in [name for name in os.environ if name.startswith("QUEENPOST_")]:
        monkeypatch.delenv(name)
    for name, value in {**far.env, "XDG_STATE_HOME": str(state), "HOME": str(tmp_path / "user")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    async with jobbing("amqtt" if mosquitto.find({}) is None else "mosquitto", far.settings) as fleet:
        yield FarTerminal(fleet, far, state)


async def test_a_job_is_worked_on_from_another_machine(
    terminal: FarTerminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[X01] DESIGN 4: all of it, with nothing of the fleet's home here; what is kept here is for its user only."""
    job = (await terminal.done("job", "register", "count the pumps")).strip()
    claimed = await terminal.json("job", "claim", job)
    assert Path(claimed["secret_file"]) == terminal.kept / "claims" / job
    assert (terminal.kept / "claims" / job).stat().st_mode & 0o777 == 0o600
    for words in (("started",), ("progress", "half", "--data", '{"percent": 50}')):
        told = await terminal.json("job", "publish", job, *words)
        assert (told["recorded"], told["verdict"]) == (True, "accepted")
    with monkeypatch.context() as there:
        there.setenv("QUEENPOST_BROKER", terminal.far.address(terminal.fleet))
        words = ["job", "publish", job, "completed", "12 pumps", *terminal.far.options(terminal.fleet)]
        done = await anyio.to_thread.run_sync(lambda: CliRunner().invoke(main, words))
        assert done.exit_code == 0, done.output
    watched = await terminal.type("job", "watch", job, "--file", str(tmp_path / "events"))
    assert watched.exit_code == 0
    said = [json.loads(line)["event"] for line in (tmp_path / "events").read_text("utf-8").splitlines()]
    assert said == ["started", "progress", "completed"]
    assert terminal.kept.stat().st_mode & 0o777 == 0o700
    with Outbox(terminal.kept / "publishers" / job / "outbox.db") as outbox:
        assert outbox.count() == 0


async def test_what_is_not_recorded_in_time_is_kept_here_and_sent_by_the_next_one(terminal: FarTerminal) -> None:
    """[X07] As on the machine of the fleet: the same end is not said twice."""
    job = (await terminal.done("job", "register", "count the pumps")).strip()
    await terminal.done("job", "claim", job)
    broken_off = await terminal.type("job", "publish", job, "completed", "done", "--within", "0")
    again = await terminal.json("job", "publish", job, "completed", "done")
    assert again["recorded"]
    assert again["duplicate"] is bool(broken_off.exit_code)
    assert (await terminal.json("job", "show", job))["event_count"] == 1


async def test_a_permission_is_asked_for_and_decided(terminal: FarTerminal) -> None:
    """Ours: `--decision` waits over the link as well."""
    job = (await terminal.done("job", "register", "count the pumps")).strip()
    await terminal.done("job", "claim", job)
    told: list[Result] = []

    async def publish() -> None:
        told.append(await terminal.type("job", "publish", job, "permission_required", "May I?", "--decision"))

    operator = await terminal.fleet.operator()  # no second command: two at once would share one standard output
    async with anyio.create_task_group() as group:
        group.start_soon(publish)
        with anyio.fail_after(60):
            while not (asks := (await operator.call(AsksList(to_me=True), AsksListed)).asks):
                await anyio.lowlevel.checkpoint()
        await operator.call(AsksAnswer(key=new_key(), ask=asks[0].id, answer="allow"), AsksAnswered)
    assert (told[0].exit_code, told[0].stdout.strip()) == (0, "allow")


@pytest.mark.parametrize("words", [("--pid", "1"), ("--tmux", "main"), ("--tmux", "main", "--tmux-socket", "x")])
async def test_a_process_of_this_machine_is_not_named_to_another(terminal: FarTerminal, words: tuple[str, ...]) -> None:
    """[P14] Ours: the fleet's machine would look at another one; nothing is claimed."""
    job = (await terminal.done("job", "register", "count the pumps")).strip()
    refused = await terminal.type("job", "claim", job, *words)
    assert refused.exit_code == 1
    assert "invalid: --pid and --tmux name what runs on the machine of the fleet" in refused.stderr
    assert (await terminal.json("job", "show", job))["state"] == "pending"


async def test_what_is_wrong_here_is_said_before_anything_is_used_up(terminal: FarTerminal) -> None:
    """Bad input and misuse: no claim here; a folder that cannot be made, before a job is claimed for it."""
    job = (await terminal.done("job", "register", "count the pumps")).strip()
    nothing = await terminal.type("job", "publish", job, "started")
    assert nothing.exit_code == 1
    assert f"there is no claim of {job} in {terminal.state}" in nothing.stderr.replace("\n", " ")
    terminal.state.mkdir(exist_ok=True)
    (terminal.state / "queenpost").write_text("in the way")
    refused = await terminal.type("job", "claim", job)
    assert refused.exit_code == 1
    assert str(terminal.state / "queenpost") in refused.stderr
    assert (await terminal.json("job", "show", job))["epoch"] == 0
