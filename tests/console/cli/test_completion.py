"""completion: what a shell does when somebody presses TAB."""

import os
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from click.testing import CliRunner

from console.cli import main, naming
from tests.console.cli.test_jobs import ID, a_job
from tests.console.conftest import Terminal
from wire.agents import AgentsListed, AgentSummary
from wire.home import Home
from wire.jobs import JobsListed

AGENTS = AgentsListed(
    agents=[
        AgentSummary(name=name, role="agent", backend="none", origin="file", state="idle")
        for name in ("alice", "bob", "bert")
    ]
)


def completed(home: Home, *words: str) -> list[str]:
    """Ask as bash does, with the cursor behind the last word; gives what it is offered."""
    environment = {
        **os.environ,
        "_QUEENPOST_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["queenpost", *words]),
        "COMP_CWORD": str(len(words)),
        "QUEENPOST_HOME": str(home.root),
    }
    line = [sys.executable, "-P", "-c", "from console.cli import main; main(prog_name='queenpost')"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return [entry.removeprefix("plain,") for entry in done.stdout.splitlines() if entry]


async def offered(terminal: Terminal, *words: str) -> list[str]:
    """Ask while the broker of the terminal answers."""
    return await anyio.to_thread.run_sync(lambda: completed(terminal.home, *words))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_serves_both_names_of_the_command(shell: str) -> None:
    """Issue 3.5: for three shells; nothing is started to print it."""
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    assert f"_QUEENPOST_COMPLETE={shell}_complete" in script
    assert f"_QP_COMPLETE={shell}_complete" in script


def test_another_shell_is_a_mistake_in_usage() -> None:
    """DESIGN 10: exit 2."""
    assert CliRunner().invoke(main, ["completion", "cmd"]).exit_code == 2


def test_bash_takes_the_script(tmp_path: Path) -> None:
    """Issue 3.5: it is read without a complaint, and both names are completed by it then."""
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    (tmp_path / "script").write_text(script, encoding="utf-8")
    old = "((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404))"
    if subprocess.run(["bash", "--norc", "-c", old], check=False).returncode == 0:
        pytest.skip("completion wants bash 4.4 or newer")
    line = ["bash", "--norc", "-c", f"set -e; . {tmp_path}/script; complete -p queenpost; complete -p qp"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert [entry.split()[-1] for entry in done.stdout.splitlines()] == ["queenpost", "qp"]


def test_commands_verbs_options_and_choices_need_no_broker(home: Home) -> None:
    """Issue 3.5."""
    assert completed(home, "sea") == ["search"]
    assert completed(home, "agent", "pau") == ["pause"]
    assert "--level" in completed(home, "logs", "--le")
    assert completed(home, "logs", "--level", "w") == ["warning"]
    assert completed(home, "completion", "z") == ["zsh"]


async def test_names_of_agents_come_from_the_broker(terminal: Terminal) -> None:
    """Issue 3.5: where a NAME is wanted, as an argument or behind an option, of a home that was named too."""
    terminal.broker.answers["agents.list"] = lambda _: AGENTS
    assert await offered(terminal, "agent", "show", "b") == ["bob", "bert"]
    assert await offered(terminal, "send", "") == ["alice", "bob", "bert"]
    assert await offered(terminal, "search", "pump", "--agent", "a") == ["alice"]
    assert await offered(terminal, "inbox", "--as", "be") == ["bert"]
    assert await offered(terminal, "agent", "add", "b") == []
    nowhere = str(terminal.home.root / "nowhere")
    assert await offered(terminal, "agent", "show", "--home", nowhere, "b") == []


async def test_ids_of_jobs_come_from_the_broker(terminal: Terminal) -> None:
    """Ours: where an ID of a job is wanted; what has ended may be looked at too."""
    terminal.broker.answers["agents.list"] = lambda _: AGENTS
    terminal.broker.answers["jobs.list"] = lambda _: JobsListed(jobs=[a_job(), a_job(id="j-other")])
    for verb in ("show", "watch", "publish", "claim", "cancel", "export", "sessions"):
        assert await offered(terminal, "job", verb, "j-") == [ID, "j-other"]
    assert await offered(terminal, "job", "show", "j-o") == ["j-other"]
    assert (await terminal.broker.next("jobs.list"))["all"] is True
    assert await offered(terminal, "job", "publish", "j-other", "comp") == ["completed"]
    assert await offered(terminal, "job", "register", "x", "--to", "a") == ["alice"]


async def test_a_broker_that_is_silent_or_gone_completes_nothing(terminal: Terminal) -> None:
    """Issue 3.5: no name, no word, no long wait."""
    assert naming.ANSWER_S <= 0.3
    assert await offered(terminal, "agent", "show", "b") == []
    await terminal.broker.stop()
    assert await offered(terminal, "agent", "show", "b") == []
    terminal.home.operator_secret.unlink()
    assert await offered(terminal, "agent", "show", "b") == []
