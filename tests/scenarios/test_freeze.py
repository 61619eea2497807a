"""The emergency stop and the way back from a backup, with the programs that users run."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import anyio
import pytest

from tests.scenarios.programs import Fleet, fleet_in, is_gone
from wire.freeze_file import change_frozen
from wire.inbox import InboxExplain, InboxExplained

pytestmark = pytest.mark.timeout(60)

PATIENT = 50
"""Seconds that a scenario may take; each starts several programs."""

CODE = "from console.cli import main; main(prog_name='queenpost')"

RUNS_AWAY = """
import signal, time
def run(agent):
    agent.say("begun")
    first = agent.state / "first"
    if not first.exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        first.touch()
        while True:
            time.sleep(1)
    for letter in agent.mail:
        agent.send(letter.sender, "done", in_reply_to=letter.id, key=letter.id)
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker, and alice, whose first turn never ends by itself."""
    async with fleet_in(tmp_path) as fleet:
        script = tmp_path / "runs_away.py"
        script.write_text(RUNS_AWAY)
        await fleet.add("alice", backend="scripted", script=str(script))
        yield fleet


async def queenpost(fleet: Fleet, *words: str) -> CompletedProcess[bytes]:
    """Type a command at a terminal."""
    command = [sys.executable, "-P", "-c", CODE, "--home", str(fleet.home.root), *words]
    return await anyio.run_process(command, check=False)


@contextmanager
def hung(fleet: Fleet) -> Generator[None]:
    """Let the broker hang: it keeps its socket and its locks, and does nothing."""
    os.kill(fleet.broker.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(fleet.broker.process.pid, signal.SIGCONT)


async def running_away(fleet: Fleet) -> int:
    """Wait until alice's first program ignores what it is told; gives its process group."""
    turn = await fleet.running("alice")
    await fleet.file(fleet.home.agent_state("alice") / "first")
    return turn["pid"]


async def test_a_freeze_stops_a_program_while_the_broker_hangs(fleet: Fleet) -> None:
    """[P15] DESIGN 5.18: by the file alone; behind the thaw the mail is handled, and no failure was counted."""
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        assert await harness.becomes_ready()
        message = await fleet.send("alice", "hello")
        group = await running_away(fleet)
        with hung(fleet):
            told = await queenpost(fleet, "freeze", "alice", "--json")
            assert told.returncode == 0, told.stderr
            assert json.loads(told.stdout) == {
                "everybody": False,
                "agents": ["alice"],
                "changed": ["alice"],
                "confirmed": False,
            }
            assert b"the broker has not confirmed" in told.stderr
            while not is_gone(group):  # noqa: ASYNC110  # nothing announces it
                await anyio.sleep(0.01)
        await fleet.until(lambda: fleet.agent("alice"), lambda agent: agent.state == "frozen")
        await fleet.until(lambda: fleet.delivery(message), lambda story: story.state == "queued")
        thawed = await queenpost(fleet, "thaw", "alice", "--json")
        assert json.loads(thawed.stdout)["confirmed"] is True
        handled = await fleet.handled(message)
        assert handled.attempt >= 2
        story = await fleet.operator.call(InboxExplain(message=message), InboxExplained)
        assert (story.deliveries[0].failures, (await fleet.account()).lost) == (0, 0)
        assert (await fleet.agent("alice")).attached
    assert not fleet.logged("harness", "loop_crashed")


async def test_a_freeze_without_a_broker_holds_when_it_starts(fleet: Fleet) -> None:
    """[P15] DESIGN 5.18: nothing opens before somebody thaws; who comes later is frozen too."""
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        assert await harness.becomes_ready()
        message = await fleet.send("alice", "hello")
        group = await running_away(fleet)
        await fleet.broker.kill()
        told = await queenpost(fleet, "freeze")
        assert told.returncode == 0, told.stderr
        assert b"no broker runs" in told.stderr
        while not is_gone(group):  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)
        await fleet.start_broker()
        await fleet.add("bob", backend="scripted", script="echo")
        later = await fleet.send("bob", "hello")
        agents = [await fleet.agent(name) for name in ("alice", "bob")]
        assert [agent.state for agent in agents] == ["frozen", "frozen"]
        assert (await fleet.delivery(later)).state == "queued"
        assert (await queenpost(fleet, "thaw")).returncode == 0
        assert (await fleet.handled(later)).attempt == 1
        assert (await fleet.handled(message)).attempt >= 2


async def test_a_freeze_by_the_command_stops_at_once(fleet: Fleet) -> None:
    """[P15] DESIGN 5.18: the broker confirms, and pushes; an unknown name is refused and leaves no trace."""
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        assert await harness.becomes_ready()
        message = await fleet.send("alice", "hello")
        group = await running_away(fleet)
        wrong = await queenpost(fleet, "freeze", "alice", "nobody")
        assert (wrong.returncode, b"no agent 'nobody'" in wrong.stderr) == (1, True)
        assert not fleet.home.frozen.exists()
        told = await queenpost(fleet, "freeze")
        assert (told.returncode, told.stdout) == (0, b"everybody is frozen, who comes later too\n")
        assert (await fleet.agent("alice")).state == "frozen"
        while not is_gone(group):  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)
        assert (await fleet.delivery(message)).state == "queued"
        change_frozen(fleet.home.frozen, lambda now: now.without([]))  # as `rm` would
        assert (await fleet.handled(message)).attempt >= 2


async def test_a_backup_is_made_and_put_back(fleet: Fleet, tmp_path: Path) -> None:
    """[P09] DESIGN 6, 10: refused with exit 3 while a broker runs; afterwards the fleet is as it was then."""
    copy = tmp_path / "copy.db"
    with anyio.fail_after(PATIENT):
        message = await fleet.send("alice", "kept")
        made = await queenpost(fleet, "backup", str(copy), "--json")
        assert json.loads(made.stdout) == {"path": str(copy), "bytes": copy.stat().st_size}
        lost = await fleet.send("alice", "after the backup")
        refused = await queenpost(fleet, "restore", str(copy))
        assert (refused.returncode, b"another broker" in refused.stderr) == (3, True)
        assert await fleet.broker.stop() == 0
        wrong = await queenpost(fleet, "restore", str(tmp_path / "runs_away.py"))
        assert (wrong.returncode, b"is no database; nothing was changed" in wrong.stderr) == (1, True)
        done = await queenpost(fleet, "restore", str(copy), "--json")
        aside = json.loads(done.stdout)["aside"]
        await fleet.start_broker()
        assert (await fleet.delivery(message)).state == "queued"
        assert await fleet.send("alice", "again") == lost  # the id of what the backup never knew
        assert await fleet.broker.stop() == 0
        back = await queenpost(fleet, "restore", aside)
        assert back.returncode == 0
        assert f"what was there lies in {fleet.home.backups}".encode() in back.stdout
        await fleet.start_broker()
        assert (await fleet.account()).accepted == 2


async def test_a_damaged_database_names_the_command_that_mends_it(fleet: Fleet) -> None:
    """[P09] DESIGN 6: `quick_check` at start; the command is run as it is told."""
    with anyio.fail_after(PATIENT):
        await fleet.send("alice", "kept")
        assert (await queenpost(fleet, "backup")).returncode == 0
        await fleet.broker.stop()
        whole = fleet.home.database.read_bytes()
        fleet.home.database.write_bytes(whole[: len(whole) // 2])
        broken = await fleet.start("-P", "-m", "broker")
        assert await broken.becomes_ready() is None
        assert await broken.ends() == 1
        assert "`queenpost restore FILE` with the newest of backups/" in broken.said.read_text()
        (newest,) = fleet.home.backups.iterdir()
        assert (await queenpost(fleet, "restore", str(newest))).returncode == 0
        await fleet.start_broker()
        assert (await fleet.account()).waiting == 1
