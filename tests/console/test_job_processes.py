"""What runs for a job: named so that nothing else is ever taken for it, and ended alone."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from console import job_processes
from console.job_processes import of_pid, of_tmux, read
from tests.console.tmux import Tmux, private_tmux
from wire.errors import Invalid, Unavailable

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="left out: tmux is not installed")
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def tmux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tmux]:
    """A tmux server of the test's own."""
    with private_tmux(tmp_path_factory.mktemp("t") / "s") as tmux:
        yield tmux


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that leads its group, as one that a shell starts does."""
    line = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


async def test_a_process_is_ended_and_stays_ended(child: "subprocess.Popen[bytes]") -> None:
    """Issue 5: by pid and start; a second time nothing happens."""
    named = read(of_pid(child.pid).written())
    assert named is not None
    assert named.is_alive()
    await named.end()
    assert child.wait(30) == -signal.SIGTERM
    assert named.is_alive() is False
    await named.end()


async def test_another_process_with_the_same_pid_is_not_touched(child: "subprocess.Popen[bytes]") -> None:
    """Issue 5: only its own."""
    named = of_pid(child.pid)
    boot, namespace, start = named.name.split("/") if "/" in named.name else ("", "", named.name)
    reused = replace(named, name="/".join(part for part in (boot, namespace, f"1{start}") if part))
    assert reused.is_alive() is False
    await reused.end()
    assert child.poll() is None


async def test_what_runs_elsewhere_is_not_judged(child: "subprocess.Popen[bytes]") -> None:
    """Issue 5: another machine, or another container of this one."""
    named = of_pid(child.pid)
    elsewhere = [replace(named, host="another-machine")]
    if "/" in named.name:
        boot, _, start = named.name.split("/")
        elsewhere.append(replace(named, name=f"{boot}/pid:[1]/{start}"))
    for one in elsewhere:
        assert one.is_alive() is None
        await one.end()
    assert child.poll() is None


@needs_tmux
async def test_a_tmux_session_is_ended_and_no_other(tmux: Tmux) -> None:
    """[X09] By its id: a later session of the same name is another one."""
    tmux.start("work")
    tmux.start("work-2")
    named = read(of_tmux("work", str(tmux.socket)).written())
    assert named is not None
    assert named.is_alive()
    await named.end()
    assert tmux.sessions() == ["work-2"]
    tmux.start("work")
    assert named.is_alive() is False
    await named.end()
    assert tmux.sessions() == ["work", "work-2"]


@needs_tmux
def test_a_tmux_server_that_has_ended_took_its_sessions_along(tmux: Tmux) -> None:
    """[X09] And a new one on the same socket, with the same ids, is not taken for it."""
    tmux.start("work")
    named = of_tmux("work", str(tmux.socket))
    tmux.end()
    assert named.is_alive() is False
    tmux.start("work")
    assert of_tmux("work", str(tmux.socket)).session == named.session
    assert named.is_alive() is False


@needs_tmux
def test_a_tmux_session_that_is_not_there_cannot_be_named(tmux: Tmux) -> None:
    """Issue 5: no server, no such session, and no session whose name only begins so."""
    with pytest.raises(Invalid, match="no tmux session 'work'"):
        of_tmux("work", str(tmux.socket))
    tmux.start("work-2")
    with pytest.raises(Invalid, match="no tmux session 'work'"):
        of_tmux("work", str(tmux.socket))


def test_without_tmux_its_sessions_are_not_called_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5: what cannot be seen is said, not repaired."""
    named = replace(of_pid(os.getpid()), session="$1", socket=str(tmp_path / "s"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="tmux is not on PATH"):
        named.is_alive()


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "7", '{"host": "a"}', '{"host": "a", "pid": 1, "x": 2}'])
def test_what_the_broker_keeps_of_somebody_else_is_none(text: str) -> None:
    """Ours: a newer console, or another program; nothing is done about it."""
    assert read(text) is None


def test_a_pid_that_nobody_has_is_refused() -> None:
    """Issue 5: a claim names what runs."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(Invalid, match=f"no process {child.pid} runs here"):
        of_pid(child.pid)
    assert job_processes.of_pid(os.getpid()).is_alive()
