"""`queenpost claude` as its user has it: a real terminal, a real broker, real hooks and tools, a program that plays."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from mcp_tools.hooks import session as hooks
from tests.fakes import interactive
from tests.fakes.person import Person, person, queenpost
from tests.scenarios.programs import Fleet, fleet_in
from wire.agents import AgentsChanged, AgentsPause, AgentsResume
from wire.client import new_key

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A fleet whose broker runs."""
    async with fleet_in(tmp_path) as fleet:
        yield fleet


def program_in(folder: Path) -> Path:
    """Put the program that plays where a shell would find it."""
    program = folder / "bin" / "claude"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {interactive.__file__} "$@"\n')
    program.chmod(0o755)
    return program


@asynccontextmanager
async def session(fleet: Fleet, *words: str, home: Path | None = None) -> AsyncGenerator[Person]:
    """Type `queenpost claude` in a terminal."""
    folder = fleet.home.root.parent
    path = f"{program_in(folder).parent}{os.pathsep}{os.environ['PATH']}"
    line = queenpost("claude", "--home", str(home or fleet.home.root), *words)
    async with person(line, {**os.environ, "PATH": path}, folder) as someone:
        yield someone


async def state(fleet: Fleet, name: str, wanted: str) -> None:
    """Wait for an agent to be as it should."""
    with anyio.fail_after(20):
        await fleet.until(lambda: fleet.agent(name), lambda agent: agent.state == wanted)


async def test_an_idle_session_is_woken_takes_its_mail_and_is_away_afterwards(fleet: Fleet) -> None:
    """[P02] A free name, the agent is made; woken while idle; the end of the turn settles; the exit code is its own."""
    async with session(fleet, "--", "--model", "small") as someone:
        await someone.sees("ready")
        await someone.sees('arguments ["--model", "small"]')
        await someone.sees("You are claude-1 in a Queenpost fleet")
        await state(fleet, "claude-1", "idle")
        message = await fleet.send("claude-1", "which branch?")
        await someone.sees("prompt woken Queenpost: 1 message waits; call recv.")
        await someone.sees("which branch?")
        with anyio.fail_after(20):
            assert (await fleet.handled(message)).attempt == 1
        someone.type("exit 7\r")
        assert await someone.sees_the_end() == 7
        await someone.sees("claude-1 is away; nothing waits for it")
    await state(fleet, "claude-1", "away")
    assert (await fleet.agent("claude-1")).backend == "none"


async def test_what_was_not_finished_comes_again_when_the_session_opens_next(fleet: Fleet) -> None:
    """[H21] Closed in the middle of a turn by kill -9: at once it waits again, and wakes the next session."""
    async with session(fleet, "--name", "alice") as someone:
        await someone.sees("ready")
        someone.type("keep\r")
        await someone.sees("did keep")
        message = await fleet.send("alice", "build it")
        await someone.sees("build it")
        someone.type("die\r")
        assert await someone.sees_the_end() == 128 + signal.SIGKILL
        await someone.sees("alice is away; 1 message waits for its next session")
    async with session(fleet, "--name", "alice") as someone:
        await someone.sees("prompt woken Queenpost: 1 message waits; call recv.")
        await someone.sees("build it")
        with anyio.fail_after(20):
            assert (await fleet.handled(message)).attempt == 2
        someone.type("exit 0\r")
        assert await someone.sees_the_end() == 0


async def test_mail_that_the_model_leaves_lying_wakes_it_once_until_more_comes(fleet: Fleet) -> None:
    """[P04] Not in a loop: every wake costs a request."""
    async with session(fleet, "--name", "alice") as someone:
        await someone.sees("ready")
        someone.type("deaf\r")
        await someone.sees("did deaf")
        await fleet.send("alice", "one")
        await someone.sees("turn over")
        someone.type("hello\r")
        await someone.sees("turn over", 2)
        assert someone.screen.count("prompt woken") == 1
        await fleet.send("alice", "two")
        await someone.sees("prompt woken Queenpost: 2 messages wait; call recv.")
        someone.type("exit 0\r")
        await someone.sees_the_end()
        await someone.sees("alice is away; 2 messages wait for its next session")


async def test_a_session_is_woken_behind_a_restart_of_the_broker(fleet: Fleet) -> None:
    """[P02] Its hook goes on waiting, and the connection comes again."""
    async with session(fleet) as someone:
        await someone.sees("ready")
        await state(fleet, "claude-1", "idle")
        await fleet.broker.kill()
        await fleet.start_broker()
        await state(fleet, "claude-1", "idle")
        await fleet.send("claude-1", "are you there?")
        await someone.sees("are you there?")
        someone.type("exit 0\r")
        assert await someone.sees_the_end() == 0


async def test_a_paused_agent_is_woken_when_it_goes_on(fleet: Fleet) -> None:
    """Ours: woken before, its model would be asked for nothing."""
    async with session(fleet) as someone:
        await someone.sees("ready")
        await fleet.operator.call(AgentsPause(agent="claude-1", key=new_key()), AgentsChanged)
        await fleet.send("claude-1", "later")
        someone.type("hello\r")
        await someone.sees("turn over")
        assert "prompt woken" not in someone.screen
        await fleet.operator.call(AgentsResume(agent="claude-1", key=new_key()), AgentsChanged)
        await someone.sees("prompt woken")
        someone.type("exit 0\r")
        await someone.sees_the_end()


async def test_the_terminal_is_left_as_it_was(fleet: Fleet) -> None:
    """Issue 4.10: also behind a program that was killed with the terminal in its own modes; Ctrl-C is the program's."""
    async with session(fleet) as someone:
        before = someone.modes
        await someone.sees("ready")
        someone.type("\x03")
        await someone.sees("ctrl-c")
        someone.type("raw\r")
        await someone.sees("did raw")
        assert someone.modes != before
        someone.type("die\n")
        assert await someone.sees_the_end() == 137
        assert someone.modes == before
        await someone.sees("\x1b[?25h")


async def test_a_signal_to_us_ends_the_program_and_nothing_is_left(fleet: Fleet) -> None:
    """[P15] SIGTERM is passed on; the hook that waits ends with the session."""
    async with session(fleet, "--name", "alice") as someone:
        await someone.sees("ready")
        await state(fleet, "alice", "idle")
        hook = await _waiting_hook(fleet)
        os.kill(someone.process.pid, signal.SIGTERM)
        assert await someone.sees_the_end() == 128 + signal.SIGTERM
        await state(fleet, "alice", "away")
        with anyio.fail_after(20):
            await fleet.until(lambda: _runs(hook), lambda runs: not runs)
    assert not list(fleet.home.run.glob("d*-*"))


async def test_our_own_death_leaves_no_hook_waiting(fleet: Fleet) -> None:
    """[P15] kill -9 of the process beside the program: the kernel tells the hook."""
    async with session(fleet) as someone:
        await someone.sees("ready")
        hook = await _waiting_hook(fleet)
        os.kill(someone.process.pid, signal.SIGKILL)
        with anyio.fail_after(20):
            await fleet.until(lambda: _runs(hook), lambda runs: not runs)


async def _waiting_hook(fleet: Fleet) -> int:
    """Wait for the hook that waits; there is one at a time."""

    async def look() -> list[int]:
        return [
            int(path.parent.name)
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if b"waiting.py\0wait" in _read(path) and str(fleet.home.root).encode() in _read(path)
        ]

    with anyio.fail_after(20):
        (pid,) = await fleet.until(look, lambda found: len(found) == 1)
    return pid


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def _runs(pid: int) -> bool:
    stat = _read(Path(f"/proc/{pid}/stat"))
    return bool(stat) and stat.rpartition(b")")[2].split()[0] != b"Z"


async def test_a_program_that_is_stopped_stops_us_and_goes_on_with_us(fleet: Fleet) -> None:
    """Ours: Ctrl-Z and `fg` of a shell mean both of us."""
    async with session(fleet) as someone:
        await someone.sees("ready")
        (child,) = (int(pid) for pid in Path(f"/proc/{someone.process.pid}/task/{someone.process.pid}/children")
                    .read_text().split())  # fmt: skip
        os.kill(child, signal.SIGSTOP)
        with anyio.fail_after(20):
            await fleet.until(lambda: _state_of(someone.process.pid), lambda state: state == b"T")
        os.kill(someone.process.pid, signal.SIGCONT)
        someone.type("exit 3\r")
        assert await someone.sees_the_end() == 3


async def _state_of(pid: int) -> bytes:
    return _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()[0]


async def test_a_name_belongs_to_one_session(fleet: Fleet) -> None:
    """[H21] Issue 4.10: two of them would settle each other's mail; the next free name goes to the next session."""
    async with session(fleet) as first:
        await first.sees("ready")
        async with session(fleet, "--name", "claude-1") as second:
            assert await second.sees_the_end() == 1
            await second.sees("queenpost: conflict: claude-1 is taken by the session of process")
        async with session(fleet) as third:
            await third.sees("You are claude-2 in a Queenpost fleet")
        first.type("exit 0\r")
        await first.sees_the_end()


async def test_a_session_starts_the_fleet_if_none_runs(tmp_path: Path) -> None:
    """[P10] Issue 4.10: as `up -d` does, in a home that is not there yet; a second session finds it running."""
    home = tmp_path / "new"
    path = f"{program_in(tmp_path).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    try:
        for started in (True, False):
            async with person(queenpost("claude", "--home", str(home)), environment, tmp_path) as someone:
                await someone.sees("You are claude-1 in a Queenpost fleet")
                assert ("started the fleet" in someone.screen) is started
                someone.type("exit 0\r")
                assert await someone.sees_the_end() == 0
    finally:
        ended = await anyio.run_process(queenpost("down", "--home", str(home)), check=False)
    assert ended.stdout == b"stopped\n"


async def test_hooks_that_the_folder_has_for_another_agent_are_silent(fleet: Fleet) -> None:
    """Ours: `mcp install --hooks` for bob and a session as alice in one project."""
    await fleet.add("bob")
    async with session(fleet, "--name", "alice") as someone:
        await someone.sees("ready")
        (child,) = Path(f"/proc/{someone.process.pid}/task/{someone.process.pid}/children").read_text().split()
        around = dict(
            pair.split("=", 1) for pair in Path(f"/proc/{child}/environ").read_text().split("\0") if "=" in pair
        )
        line = [sys.executable, "-I", "-S", str(hooks.__file__), "start", "bob", str(fleet.home.root)]
        heard = json.dumps({"session_id": "s1", "hook_event_name": "SessionStart"}).encode()
        assert (await anyio.run_process(line, input=heard, env=around)).stdout == b""
        assert b"You are bob" in (await anyio.run_process(line, input=heard)).stdout
