"""`queenpost new` and `watch` with the real programs of ours and a fake of Claude Code."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from console.supervisor.lock import holder
from tests.console.path import SAYS_NO, only, put, put_claude
from wire.home import Home

pytestmark = pytest.mark.timeout(150)

CODE = "from console.cli import main; main(prog_name='queenpost')"
FAR_S = 120.0


@dataclass
class Somebody:
    """Stands in a folder of their own, with what is on their PATH."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def tools(self) -> Path:
        """Where their programs are."""
        return self.folder.parent / "bin"

    @property
    def home(self) -> Home:
        """That of the fleet."""
        return Home(self.folder / ".queenpost")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command."""
        env = {"HOME": str(self.folder.parent), "PATH": only(self.tools), "TMPDIR": str(self.folder.parent), **self.env}
        return subprocess.Popen(
            [sys.executable, "-P", "-c", CODE, *words], cwd=self.folder, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with self.start(*words) as program:
            stdout, stderr = program.communicate(timeout=FAR_S)
        return subprocess.CompletedProcess(words, program.returncode, stdout, stderr)

    def refused(self, *words: str) -> str:
        """Run a command that has to be refused, and give its words."""
        ended = self.run(*words)
        assert ended.returncode == 1, ended.stdout + ended.stderr
        return ended.stderr

    def json(self, *words: str) -> Any:
        """Run a command that has to succeed, and read what it prints."""
        ended = self.run(*words, "--json")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture
def somebody() -> Iterator[Somebody]:
    """Give a user with a fake of Claude Code, logged in; nothing runs afterwards."""
    place = Path(tempfile.mkdtemp(prefix="qp-new-"))
    one = Somebody(place / "project")
    one.folder.mkdir()
    put_claude(one.tools)
    yield one
    one.run("down")
    shutil.rmtree(place)


def nothing_of_it(somebody: Somebody) -> bool:
    """Say whether the folder is as it was."""
    return list(somebody.folder.iterdir()) == []


def test_a_fleet_is_made_proven_and_given_its_goal(somebody: Somebody) -> None:
    """Issue 4, item 10: settings and prompts, a real turn, the goal; a second one is refused with the next step."""
    told = somebody.json("new", "Make it good", "--workers", "1")
    assert (told["backend"], told["agents"], told["message"]) == ("claude", ["manager", "worker-1"], "m2")
    assert [Path(path).name for path in told["written"]] == ["manager.md", "worker.md", "queenpost.toml"]
    assert told["handled_s"] > 0
    goal = somebody.json("explain", "m2")
    assert (goal["body"], goal["deliveries"][0]["recipient"]) == ("Make it good", "manager")
    started = (somebody.folder / "starts.jsonl").read_text()
    assert '"acceptEdits"' in started
    settings = (somebody.folder / "queenpost.toml").read_text()
    assert '`queenpost send manager "…"`' in somebody.refused("new", "Make it better")
    assert (somebody.folder / "queenpost.toml").read_text() == settings


def test_what_is_done_is_said_step_by_step(somebody: Somebody) -> None:
    """Issue 4, item 10: for a person; with -d it ends with how to look, answer and stop."""
    shown = somebody.run("new", "Make it good", "-d")
    assert shown.returncode == 0, shown.stderr
    steps = [line.split()[0] for line in shown.stdout.splitlines() if line and not line.startswith(" ")]
    assert steps == ["program", "wrote", "place", "up", "test", "goal"]
    for words in ("queenpost watch", "queenpost asks", "queenpost down"):
        assert words in shown.stdout


def test_ctrl_c_leaves_the_fleet_at_work(somebody: Somebody) -> None:
    """Issue 4, item 10: the look ends, and one is told how to look again. A file gets plain lines."""
    with somebody.start("new", "Make it good") as program:
        assert program.stdout is not None
        seen: list[str] = []
        for line in program.stdout:
            seen.append(line)
            if "you        → manager    m2   Make it good" in line:
                break
        program.send_signal(signal.SIGINT)
        rest, stderr = program.communicate(timeout=FAR_S)
    assert program.returncode == 0, stderr
    assert "The fleet goes on without you." in rest
    assert "queenpost watch" in rest
    assert "\x1b" not in "".join(seen) + rest
    assert holder(somebody.home.up_lock) is not None


def test_a_watch_ends_when_the_fleet_is_stopped(somebody: Somebody) -> None:
    """Ours: and says how to start it again; where none runs it is refused."""
    assert "start it with `queenpost up -d`" in somebody.refused("watch")
    assert somebody.run("new", "Make it good", "-d").returncode == 0
    with somebody.start("watch") as program:
        assert program.stdout is not None
        assert "manager" in program.stdout.readline(), "it begins with who is there"
        somebody.run("send", "worker-1", "hello")
        for line in program.stdout:
            if "hello" in line:
                break
        assert somebody.run("down").returncode == 0
        _, stderr = program.communicate(timeout=FAR_S)
    assert program.returncode == 0
    assert "the fleet was stopped" in stderr


def test_a_fleet_that_does_not_work_is_stopped_again(somebody: Somebody) -> None:
    """Issue 4, item 10: proven before the goal is sent; the files stay, and the steps from there are named."""
    somebody.env["FAKE_MCP"] = "failed"
    said = somebody.refused("new", "Make it good")
    assert "worker-1 could not handle a message" in said
    assert "`queenpost agent tail worker-1`" in said
    assert "`queenpost up -d`, then `queenpost send manager" in said
    assert holder(somebody.home.up_lock) is None
    assert (somebody.folder / "queenpost.toml").exists()


def test_a_program_that_is_not_logged_in_is_named_with_its_command(somebody: Somebody) -> None:
    """Issue 4, item 10: one command mends it, and nothing is written."""
    put_claude(somebody.tools, SAYS_NO)
    for backend in ("claude", "auto"):
        said = somebody.refused("new", "Make it good", "--backend", backend)
        assert "claude is not logged in" in said
        assert "`claude auth login`" in said
    assert nothing_of_it(somebody)


def test_without_a_program_it_says_what_it_looked_for(somebody: Somebody) -> None:
    """Issue 4, item 10: how to install one, or to do without."""
    (somebody.tools / "claude").unlink()
    said = somebody.refused("new", "Make it good")
    for words in ("`claude`", "`codex`", "`opencode`", "`gemini`", "npm install -g", "queenpost demo"):
        assert words in said
    assert "Codex is not installed" in somebody.refused("new", "Make it good", "--backend", "codex")
    assert nothing_of_it(somebody)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("",), 1),
        (("  ",), 1),
        (("x" * 30_000,), 1),
        (("go", "--workers", "0"), 2),
        (("go", "--workers", "17"), 2),
        (("go", "--backend", "gpt"), 2),
        (("go", "--here", "--home", "elsewhere"), 2),
        ((), 2),
    ],
)
def test_wrong_uses_write_nothing(somebody: Somebody, words: tuple[str, ...], code: int) -> None:
    """Bad input: a goal, a number, a program that are none."""
    assert somebody.run("new", *words).returncode == code
    assert nothing_of_it(somebody)


def test_in_a_repository_each_worker_has_a_checkout(somebody: Somebody) -> None:
    """Issue 4, items 7 and 10: on a branch of its own, from the last commit; what is not committed is said."""
    git = ["git", "-C", str(somebody.folder), "-c", "user.name=n", "-c", "user.email=e@example.invalid"]
    (somebody.folder / "a.txt").write_text("one")
    for words in (["init", "-q"], ["add", "a.txt"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True, env={**os.environ, "HOME": str(somebody.folder.parent)})
    (somebody.folder / "b.txt").write_text("two")
    shown = somebody.run("new", "Make it good", "-d")
    assert shown.returncode == 0, shown.stderr
    assert "a file here is not committed" in shown.stderr
    checkout = somebody.home.agent_state("worker-1") / "worktree"
    assert [path.name for path in checkout.iterdir() if path.suffix == ".txt"] == ["a.txt"]
    listed = subprocess.run([*git, "branch", "--list", "queenpost/*"], capture_output=True, text=True, check=True)
    assert "queenpost/worker-1" in listed.stdout


# --- the demo with a real program -------------------------------------------------------------------


def test_the_demo_names_its_costs_and_asks_nobody_in_vain(somebody: Somebody) -> None:
    """Issue 4, item 10: costs named before it begins; without a terminal it wants --yes."""
    (somebody.folder / "a.py").write_text("1\n")
    refused = somebody.run("demo", "--backend", "claude")
    assert refused.returncode == 1
    assert "under your login" in refused.stdout
    assert "$2.00" in refused.stdout
    assert "--yes" in refused.stderr
    assert somebody.run("demo", "--model", "opus").returncode == 2


def test_the_demo_refuses_a_program_that_cannot_work(somebody: Somebody) -> None:
    """Issue 4, item 10: missing, or not logged in, with what mends it."""
    assert "npm install -g @openai/codex" in somebody.refused("demo", "--backend", "codex", "--yes")
    put(somebody.tools, "codex", "exit 1")
    assert "`codex login`" in somebody.refused("demo", "--backend", "codex", "--yes")


def test_a_demo_in_which_nobody_reports_ends_and_says_so(somebody: Somebody) -> None:
    """Issue 4, item 10: bounded, and its verdict is honest. The fake answers its turns and sends no mail."""
    (somebody.folder / "a.py").write_text("1\n")
    ended = somebody.run("demo", "--backend", "claude", "--yes", "--json")
    assert ended.returncode == 1, ended.stderr
    told = json.loads(ended.stdout)
    assert "nobody works any more, and the manager has not reported" in told["problems"]
    assert "no program was killed: the worker was not given any work" in told["problems"]
    assert (told["account"]["lost"], told["account"]["handled"]) == (0, 1)
    assert told["tokens"] == 15
    assert told["home"] is not None
