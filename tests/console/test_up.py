"""up and down with the real programs: ready, stopped in order, restarted, refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from console.supervisor.lock import holder
from console.supervisor.orphans import left_behind
from tests.fakes.json_lines import lines_in
from wire.home import Home
from wire.processes import Process, identity

pytestmark = pytest.mark.timeout(120)

CODE = "from console.cli import main; main(prog_name='queenpost')"
ECHO = '[agents.bob]\nbackend = "scripted"\nscript = "echo"\n'
FAR_S = 60.0
"""Far more than anything here takes, for machines with other work."""


class Fleet:
    """A home of its own, and commands on it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._running: list[subprocess.Popen[str]] = []

    def argv(self, *words: str) -> list[str]:
        """Give a command line."""
        return [sys.executable, "-P", "-c", CODE, "--home", str(self.home.root), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(self.argv(*words), capture_output=True, text=True, check=False, timeout=FAR_S)

    def json(self, *words: str) -> Any:
        """Run a command that has to succeed and read what it prints."""
        ended = self.run(*words, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def up(self) -> subprocess.Popen[str]:
        """Start `up --json` in the foreground and wait for its ready line."""
        process = subprocess.Popen(self.argv("up", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._running.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("event") == "ready":
                return process
        raise AssertionError(process.communicate()[1])

    def child(self, name: str) -> Process:
        """Give a running child of the supervisor."""
        return left_behind(self.home.run / "up.children")[name]

    def close(self) -> None:
        """Leave nothing running, whatever the test did."""
        self.run("down")
        for process in self._running:
            process.kill()
            process.communicate()
        for child in left_behind(self.home.run / "up.children").values():
            child.kill_group()


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Give a home whose path leaves room for a socket, with one agent that echoes."""
    folder = Path(tempfile.mkdtemp(prefix="qp-up-"))
    fleet = Fleet(Home(folder / "home"))
    fleet.home.create()
    (fleet.home.root / "queenpost.toml").write_text(ECHO)
    yield fleet
    fleet.close()
    shutil.rmtree(folder)


async def until(what: Callable[[], object]) -> None:
    """Look until it is so."""
    with anyio.fail_after(FAR_S):
        while not what():  # noqa: ASYNC110  # other processes have no event for it
            await anyio.sleep(0.05)


def test_up_is_ready_when_mail_is_answered_and_ctrl_c_ends_it_well(fleet: Fleet) -> None:
    """DESIGN 2: lock, broker, harness, ready; Ctrl-C ends it with 0 and leaves nothing running. [P10] [P15]"""
    up = fleet.up()
    assert holder(fleet.home.up_lock) == up.pid
    children = [fleet.child(name) for name in ("broker", "harness")]
    assert fleet.json("status")["agents"][0]["name"] == "bob"
    up.send_signal(signal.SIGINT)
    assert up.wait(FAR_S) == 0
    assert not any(child.is_alive() for child in children)
    assert not (fleet.home.run / "up.children").exists()


def test_the_harness_stops_before_the_broker(fleet: Fleet) -> None:
    """DESIGN 2: so its agents are detached, and the next harness need not wait for them."""
    up = fleet.up()
    up.terminate()
    assert up.wait(FAR_S) == 0
    events = [record["event"] for record in lines_in(fleet.home.logs / "broker.ndjson")]
    assert events.index("agent_detached") < events.index("broker_stopped")


def test_up_detached_returns_when_ready_and_down_ends_it(fleet: Fleet) -> None:
    """DESIGN 2: `-d` detaches, `down` signals the lock holder."""
    ready = fleet.json("up", "-d")
    assert ready == {
        "event": "ready",
        "fleet": "home",
        "home": str(fleet.home.root),
        "agents": ["bob"],
        "harness": "ready",
    }
    assert holder(fleet.home.up_lock) is not None
    assert fleet.json("down") == {"home": str(fleet.home.root), "state": "stopped"}
    assert holder(fleet.home.up_lock) is None
    assert fleet.json("down") == {"home": str(fleet.home.root), "state": "not_running"}


def test_an_account_that_is_not_logged_in_is_named_before_the_first_turn(fleet: Fleet) -> None:
    """Issue 4.2: with the one thing that mends it; the fleet starts all the same, and other agents work."""
    claude = '[accounts.team]\ntoken_file = "secrets/team"\n[agents.alice]\nbackend = "claude"\naccount = "team"\n'
    (fleet.home.root / "queenpost.toml").write_text(ECHO + claude)
    started = fleet.run("up", "-d")
    assert started.returncode == 0
    assert f"account team: cannot read the secret {fleet.home.secrets / 'team'}" in started.stderr
    assert "Mend it with: put `claude setup-token`, or an API key into" in started.stderr
    assert fleet.run("send", "bob", "hello").returncode == 0


def test_a_home_that_is_taken_is_refused_with_3(fleet: Fleet) -> None:
    """DESIGN 2: a broker on this home already; by another `up` or on its own."""
    fleet.json("up", "-d")
    for words in (("up",), ("up", "-d"), ("broker",)):
        refused = fleet.run(*words)
        assert (refused.returncode, refused.stdout) == (3, ""), refused.stderr


def test_a_broker_of_its_own_is_neither_taken_over_nor_stopped(fleet: Fleet) -> None:
    """DESIGN 2: each part can also run on its own."""
    broker = subprocess.Popen(fleet.argv("broker"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert broker.stdout is not None
    assert json.loads(broker.stdout.readline())["event"] == "ready"
    try:
        assert fleet.run("up").returncode == 3
        refused = fleet.run("down")
        assert refused.returncode == 1
        assert "not under `queenpost up`" in refused.stderr
        assert broker.poll() is None
    finally:
        broker.terminate()
        assert broker.wait(FAR_S) == 0
        broker.stdout.close()


@pytest.mark.parametrize("detach", [(), ("-d",)])
def test_an_invalid_file_stops_the_start_by_file_and_line(fleet: Fleet, detach: tuple[str, ...]) -> None:
    """DESIGN 10: exit 1, file and line; nothing is left running."""
    (fleet.home.root / "queenpost.toml").write_text("[agents.bob]\nbackend = 'nonesuch'\n")
    refused = fleet.run("up", *detach)
    assert refused.returncode == 1
    assert f"{fleet.home.root / 'queenpost.toml'}:2: agents.bob.backend" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert holder(fleet.home.up_lock) is None


def test_a_fleet_without_agents_stays_up(fleet: Fleet) -> None:
    """DESIGN 2."""
    (fleet.home.root / "queenpost.toml").unlink()
    assert fleet.json("up", "-d")["agents"] == []
    assert fleet.json("status")["agents"] == []


async def test_ctrl_c_before_it_is_ready_leaves_nothing(fleet: Fleet) -> None:
    """Ours: at any moment; the exit code says that it was meant."""
    up = subprocess.Popen(fleet.argv("up"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: ASYNC220
    await until(lambda: "broker" in left_behind(fleet.home.run / "up.children"))
    broker = fleet.child("broker")
    up.send_signal(signal.SIGINT)
    stdout, stderr = up.communicate(timeout=FAR_S)
    assert up.returncode == 0, stdout + stderr
    assert "Traceback" not in stderr
    assert not broker.is_alive()
    assert holder(fleet.home.up_lock) is None


async def test_a_killed_child_is_started_again_and_mail_goes_on(fleet: Fleet) -> None:
    """DESIGN 2: with the harness as with the broker; a reaped harness is taken over at once. [P15]"""
    fleet.json("up", "-d")
    for name in ("harness", "broker"):
        killed = fleet.child(name)
        killed.kill_group()
        await until(lambda: _restarted(fleet, name, killed))  # noqa: B023  # used at once
        await until(lambda: fleet.run("send", "bob", f"after the {name}").returncode == 0)  # noqa: B023  # used at once
        await until(lambda: f"after the {name}" in fleet.run("inbox", "--json").stdout)  # noqa: B023  # used at once
    account = fleet.json("status")["account"]
    assert account["lost"] == 0


def _restarted(fleet: Fleet, name: str, killed: Process) -> bool:
    alive = left_behind(fleet.home.run / "up.children").get(name)
    return alive is not None and alive != killed


async def test_a_killed_supervisor_is_survived(fleet: Fleet) -> None:
    """Ours: its children run on; the next `up` ends them and starts anew, without anybody's help."""
    up = fleet.up()
    orphans = [fleet.child(name) for name in ("broker", "harness")]
    up.kill()
    up.communicate()
    assert all(orphan.is_alive() for orphan in orphans)
    assert fleet.json("up", "-d")["agents"] == ["bob"]
    assert not any(orphan.is_alive() for orphan in orphans)
    assert fleet.json("send", "bob", "hello")["state"] == "queued"


def test_down_ends_what_a_killed_supervisor_left_behind(fleet: Fleet) -> None:
    """Ours."""
    up = fleet.up()
    orphans = [fleet.child(name) for name in ("broker", "harness")]
    up.kill()
    up.communicate()
    ended = fleet.run("down")
    assert ended.returncode == 0
    assert "left behind: harness, broker" in ended.stdout
    assert not any(identity(orphan.pid) == orphan.name for orphan in orphans)


def test_up_detached_lets_go_of_the_terminal(fleet: Fleet) -> None:
    """Ours: whoever reads our output to its end does not wait for the fleet."""
    process = subprocess.Popen(fleet.argv("up", "-d"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output, _ = process.communicate(timeout=FAR_S)
    assert process.returncode == 0, output
    assert "harness with bob" in output
    supervisor = holder(fleet.home.up_lock)
    assert supervisor is not None
    assert os.getsid(supervisor) != os.getsid(0)


# ---- down --drain

WAITS = """
[agents.bob]
backend = "command"
command = ["/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.02; done"]
"""


class Draining:
    """A fleet in which bob is in a turn, with mail behind it, and a `down --drain` that waits for him."""

    def __init__(self, fleet: Fleet, *words: str) -> None:
        self.fleet = fleet
        self.down = subprocess.Popen(
            fleet.argv("down", "--drain", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def hears(self, words: str) -> None:
        """Read until it says so."""
        assert self.down.stderr is not None
        assert any(words in line for line in self.down.stderr), "it said something else"

    def ended(self) -> tuple[int, str]:
        """Wait for its end; gives code and output."""
        stdout, stderr = self.down.communicate(timeout=FAR_S)
        return self.down.returncode, stdout + stderr

    def turns(self) -> list[str]:
        """Give the outcomes of the turns that were opened."""
        records = lines_in(self.fleet.home.logs / "harness.ndjson")
        return [record["outcome"] for record in records if record["event"] == "turn_ended"]


async def in_a_turn(fleet: Fleet) -> None:
    """Bring bob into a turn that ends when a file is there."""
    (fleet.home.root / "queenpost.toml").write_text(WAITS)
    fleet.json("up", "-d")
    fleet.json("send", "bob", "one")
    await until(lambda: fleet.json("status")["agents"][0]["state"] == "working")
    fleet.json("send", "bob", "two")


async def test_drain_lets_the_turn_finish_and_opens_none(fleet: Fleet) -> None:
    """Issue 4.9: and it says for whom it waits."""
    await in_a_turn(fleet)
    draining = Draining(fleet)
    draining.hears("waiting for 1 turn: bob t1")
    (fleet.home.agent_state("bob") / "go").touch()
    code, said = draining.ended()
    assert code == 0, said
    assert "every turn that ran has ended" in said
    assert holder(fleet.home.up_lock) is None
    assert draining.turns() == ["completed"]


async def test_drain_has_a_bound(fleet: Fleet) -> None:
    """Issue 4.9: then it is as without it; nothing counts against the mail."""
    await in_a_turn(fleet)
    draining = Draining(fleet, "--within", "0.01")
    code, said = draining.ended()
    assert code == 0, said
    assert "not every turn has ended" in said
    assert draining.turns() == ["stopped"]


async def test_the_second_ctrl_c_ends_it_at_once(fleet: Fleet) -> None:
    """Issue 4.9: the first one only says so."""
    await in_a_turn(fleet)
    draining = Draining(fleet)
    draining.hears("waiting for 1 turn")
    draining.down.send_signal(signal.SIGINT)
    draining.hears("Ctrl-C again")
    draining.down.send_signal(signal.SIGINT)
    code, said = draining.ended()
    assert code == 0, said
    assert draining.turns() == ["stopped"]


def test_drain_of_nothing_is_a_down_of_nothing(fleet: Fleet) -> None:
    """Ours."""
    assert fleet.json("down", "--drain")["state"] == "not_running"
