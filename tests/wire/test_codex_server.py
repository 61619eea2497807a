"""Codex in two halves: the server is there while somebody holds its lifeline, and says so where it does not listen."""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from tests.architecture.tree import ROOT
from tests.fakes import codex_halves
from tests.fakes.processes import gone, running
from wire.codex_server import comes_in_halves, served
from wire.websocket import connected

pytestmark = pytest.mark.anyio

PROGRAM = [sys.executable, codex_halves.__file__, str(ROOT)]
PATIENCE_S = 30


@pytest.fixture
def socket() -> Generator[Path]:
    """A socket whose path is short enough."""
    with tempfile.TemporaryDirectory(prefix="qp-", dir="/tmp") as folder:
        yield Path(folder, "s")


def server_at(socket: Path) -> int:
    """Give the process of the server itself."""
    return int(json.loads(socket.with_name(codex_halves.NOTES).read_text("utf-8"))["pid"])


async def test_it_listens_while_it_is_served_and_is_gone_afterwards(socket: Path, tmp_path: Path) -> None:
    """Issue 4.10: with the settings and the environment of who starts it, in the folder that is named."""
    around = {**os.environ, "QUEENPOST_SESSION": "bob"}
    async with served(PROGRAM, ["-c", "a=1"], around, socket, cwd=tmp_path) as server:
        assert server is not None
        assert server.words == ["--remote", f"unix://{socket}"]
        about = json.loads(socket.with_name(codex_halves.NOTES).read_text("utf-8"))
        assert (about["words"], about["cwd"]) == (["-c", "a=1"], str(tmp_path))
        assert about["environment"] == {"QUEENPOST_SESSION": "bob"}
    await gone(about["pid"])
    assert not socket.exists()


STARTER = """
import subprocess, sys
from pathlib import Path
import anyio
from wire.codex_server import served

async def main():
    async with served(sys.argv[2:], [], {}, Path(sys.argv[1])) as server:
        window = subprocess.Popen(["/bin/sleep", "600"], pass_fds=[server.lifeline])
        print(window.pid, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


async def test_it_outlives_who_started_it_for_as_long_as_the_window_is_there(socket: Path) -> None:
    """Ours: the lifeline is the window's too; when the last who has it is killed, the server ends."""
    command = [sys.executable, "-c", STARTER, str(socket), *PROGRAM]
    async with await anyio.open_process(command, cwd=ROOT, stderr=None) as starter:
        assert starter.stdout is not None
        with anyio.fail_after(PATIENCE_S):
            window = int(await starter.stdout.receive())
        starter.kill()
        await starter.wait()
        server = server_at(socket)
        try:
            async with connected(socket):
                assert running(server)
        finally:
            os.kill(window, signal.SIGKILL)
        await gone(server)


async def test_a_server_that_ends_at_once_is_none(socket: Path) -> None:
    """Ours: Codex is opened in one piece then."""
    with anyio.fail_after(PATIENCE_S):
        async with served(PROGRAM, [], {**os.environ, "PLAYS": "mute"}, socket) as server:
            assert server is None
        async with served(["/no/such/program"], [], os.environ, socket) as server:
            assert server is None
        async with served(PROGRAM, [], os.environ, socket, cwd=socket) as server:
            assert server is None


async def test_a_server_that_was_killed_leaves_nothing_behind(socket: Path) -> None:
    """Ours: the shell around it ends with it."""
    async with served(PROGRAM, [], os.environ, socket) as server:
        assert server is not None
        os.kill(pid := server_at(socket), signal.SIGKILL)
        await gone(pid)


async def test_an_old_codex_and_none_do_not_come_in_halves() -> None:
    """Ours: its help says it."""
    assert await comes_in_halves(PROGRAM, os.environ)
    assert not await comes_in_halves(PROGRAM, {**os.environ, "PLAYS": "old"})
    assert not await comes_in_halves(["/no/such/program"], os.environ)
