"""What every backend that runs a child has in common. The same piece of Python is played by each of them."""

import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from harness.backends.choose import backend_for
from harness.backends.protocol import Backend, Began, Ended, NotStartedError, Output, TurnRequest
from harness.backends.seat import Seat
from harness.workspace import Workspace
from tests.harness.backends.playing import first_line, play
from wire.home import Home
from wire.settings import AgentSettings
from wire.settings_pty import PtySettings

MakeBackend = Callable[[str], Backend]

KINDS = ("command", "scripted")


def settings_of(kind: str, path: Path) -> AgentSettings:
    """Have a file run by a backend of this kind."""
    if kind == "command":
        return AgentSettings(backend="command", command=[sys.executable, "-I", "-S", str(path)])
    return AgentSettings(backend="scripted", script=str(path))


def wrapped(kind: str, code: str) -> str:
    """A script has its code in `run`; a command is its code."""
    if kind == "command":
        return f"import sys\nprompt = sys.stdin.read()\n{code}\n"
    body = "\n    ".join(code.split("\n"))
    return f"import sys\ndef run(agent):\n    prompt = agent.prompt\n    {body}\n"


@pytest.fixture(params=KINDS)
def play_code(request: pytest.FixtureRequest, tmp_path: Path) -> MakeBackend:
    """Make a backend that runs a piece of Python; `prompt` is what it was told."""
    kind: str = request.param

    def make(code: str) -> Backend:
        path = tmp_path / "program.py"
        path.write_text(wrapped(kind, code), encoding="utf-8")
        backend = backend_for(seat(tmp_path, settings_of(kind, path)))
        assert backend is not None
        return backend

    return make


def seat(tmp_path: Path, settings: AgentSettings) -> Seat:
    """Alice's seat in a home of its own."""
    home = Home(tmp_path / "home")
    home.create()
    workspace = Workspace(home, "alice")
    workspace.make()
    return Seat(workspace, settings, "http://127.0.0.1:1/mcp", "the-bearer", grace_s=0.3)


async def outcome_of(backend: Backend, prompt: str = "the prompt") -> tuple[str, bool, str]:
    """Play a turn: outcome, whether it had begun, all output."""
    with anyio.fail_after(15):
        played = await play(backend, prompt)
    return played.ended.outcome, played.began, played.text()


async def test_the_prompt_goes_in_and_output_comes_out(play_code: MakeBackend) -> None:
    """Ours: and the end comes last, once."""
    with anyio.fail_after(15):
        played = await play(play_code("sys.stdout.write(prompt.upper())"), "say it ☂")
    assert played.text() == "SAY IT ☂"
    assert [type(event) for event in played.events] == [Began, Output, Ended]
    assert played.ended == Ended("completed")


async def test_who_says_nothing_has_not_begun(play_code: MakeBackend) -> None:
    """Ours: the first byte of output is when the model began to answer."""
    assert await outcome_of(play_code("sys.exit(0)")) == ("completed", False, "")


async def test_dying_at_once_is_not_the_fault_of_the_mail(play_code: MakeBackend) -> None:
    """Ours: complaints on stderr are no answer."""
    with anyio.fail_after(15):
        played = await play(play_code("sys.stderr.write('no key\\n'); sys.exit(3)"))
    assert (played.ended.outcome, played.began) == ("crashed", False)
    assert played.ended.reason == "exited with status 3"
    assert "no key" in played.text("stderr")


async def test_a_crash_after_the_first_word_has_begun(play_code: MakeBackend) -> None:
    """Ours: this one may count."""
    assert await outcome_of(play_code("print('well', flush=True); 1 / 0")) == ("crashed", True, "well\n")


async def test_garbage_is_output_like_any_other(play_code: MakeBackend) -> None:
    """Ours: nothing in it is believed, nothing in it breaks."""
    code = "sys.stdout.buffer.write(bytes(range(256)) * 100)"
    with anyio.fail_after(15):
        played = await play(play_code(code))
    data = b"".join(event.data for event in played.events if isinstance(event, Output))
    assert data == bytes(range(256)) * 100
    assert played.ended.outcome == "completed"


async def test_one_that_never_ends_is_ended(play_code: MakeBackend) -> None:
    """Ours: leaving the turn ends the program, whatever it is at."""
    code = "import os, signal; print(os.getpid(), flush=True)\nwhile True:\n    signal.pause()"
    with anyio.fail_after(15):
        async with play_code(code).run(TurnRequest("t1", "")) as program:
            assert int(await first_line(program)) == program.pid
    assert not Path(f"/proc/{program.pid}").exists()


async def test_a_cancelled_turn_leaves_nothing_behind(play_code: MakeBackend) -> None:
    """Ours: the harness itself may be told to stop at any moment."""
    pids: list[int] = []
    backend = play_code("import signal; print('on', flush=True); signal.pause()")

    async def turn() -> None:
        async with backend.run(TurnRequest("t1", "")) as program:
            pids.append(program.pid)
            async for _ in program.events():
                running.set()

    running = anyio.Event()
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turn)
            await running.wait()
            tasks.cancel_scope.cancel()
    assert not Path(f"/proc/{pids[0]}").exists()


async def test_each_turn_is_a_new_program(play_code: MakeBackend) -> None:
    """Ours: nothing is carried from one to the next."""
    backend = play_code("import os; print(os.getpid())")
    assert not backend.resident
    assert len({(await outcome_of(backend))[2] for _ in range(3)}) == 3


@pytest.mark.parametrize(
    "settings",
    [
        AgentSettings(backend="command", command=["no-such-program"]),
        AgentSettings(backend="scripted", script="no-such"),
        AgentSettings(backend="opencode", command=["no-such-program"]),
        AgentSettings(backend="pty", command=["no-such-program"], pty=PtySettings(ready="> $")),
    ],
)
async def test_what_is_not_there_is_said_twice(tmp_path: Path, settings: AgentSettings) -> None:
    """Ours: by the probe before the first mail, and by every turn."""
    backend = backend_for(seat(tmp_path, settings))
    assert backend is not None
    assert (await backend.probe()).problem
    with pytest.raises(NotStartedError):
        await play(backend)
