"""Killing the right process."""

import json
import subprocess
import sys

import anyio
import anyio.to_thread
import pytest

from console.demo.accident import kill_in_the_middle
from wire.home import Home
from wire.processes import identity

WAIT = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def waiting_program() -> subprocess.Popen[bytes]:
    """Start a program that leads a group, as an agent's does."""
    return subprocess.Popen(WAIT, stdin=subprocess.PIPE, start_new_session=True)


def note(home: Home, pid: int, process: str | None) -> None:
    """Write what the harness notes of a running program."""
    folder = home.agent_harness("bob")
    folder.mkdir(parents=True, exist_ok=True)
    home.agent_state("bob").mkdir(parents=True, exist_ok=True)
    (folder / "turn.json").write_text(json.dumps({"turn": "t2", "mail": ["m2"], "pid": pid, "process": process}))


async def test_the_program_is_killed_once_it_pauses_with_work_in_its_hands(home: Home) -> None:
    """Issue 2, item 9: SIGKILL, in the middle."""
    with waiting_program() as program:
        note(home, program.pid, identity(program.pid))
        with anyio.move_on_after(0.2) as waiting:
            await kill_in_the_middle(home, "bob")
        assert waiting.cancelled_caught
        (home.agent_state("bob") / "paused.json").write_text("{}")
        with anyio.fail_after(10):
            accident = await kill_in_the_middle(home, "bob")
            assert await anyio.to_thread.run_sync(program.wait) == -9
    assert (accident.agent, accident.turn, accident.mail, accident.pid) == ("bob", "t2", ["m2"], program.pid)


@pytest.mark.parametrize("process", ["another/process/1", None])
async def test_a_process_that_got_the_number_since_is_left_alone(home: Home, process: str | None) -> None:
    """Ours: pid and start have to fit."""
    with waiting_program() as program:
        note(home, program.pid, process)
        (home.agent_state("bob") / "paused.json").write_text("{}")
        with anyio.move_on_after(0.2) as waiting:
            await kill_in_the_middle(home, "bob")
        assert waiting.cancelled_caught
        assert program.poll() is None


async def test_a_real_program_is_killed_once_its_model_has_done_something(home: Home) -> None:
    """Issue 4, item 10: not while it starts; its first word or call is the middle."""
    with waiting_program() as program:
        note(home, program.pid, identity(program.pid))
        transcript = home.agent_transcripts("bob") / "t2.log"
        transcript.parent.mkdir(parents=True)
        transcript.write_text('{"type": "system", "subtype": "init", "session_id": "s"}\n')
        with anyio.move_on_after(0.2) as waiting:
            await kill_in_the_middle(home, "bob", scripted=False)
        assert waiting.cancelled_caught
        said = {"type": "assistant", "message": {"content": [{"type": "text", "text": "I begin."}]}}
        transcript.write_text(f"{transcript.read_text()}{json.dumps(said)}\n")
        with anyio.fail_after(10):
            accident = await kill_in_the_middle(home, "bob", scripted=False)
            assert await anyio.to_thread.run_sync(program.wait) == -9
    assert accident.turn == "t2"
