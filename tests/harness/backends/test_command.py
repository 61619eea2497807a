"""Any program as the model."""

import json
import sys
from pathlib import Path

import anyio
import pytest

from harness.backends.choose import backend_for
from harness.backends.command import CommandBackend, judge
from harness.backends.protocol import NotStartedError
from harness.backends.scripted import ScriptedBackend
from tests.harness.backends.conftest import MakeCommand, MakeSeat
from tests.harness.backends.playing import play

SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))"


async def test_secrets_are_in_the_environment_and_never_in_argv(
    python: MakeCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: a command line can be read by every user of the machine."""
    monkeypatch.setenv("QUEENPOST_HOME", "/of/the/operator")
    (tmp_path / "alice.env").write_text("API_KEY=top-secret\n")
    settings = {"args": ["--fast"], "env": {"COLOUR": "red"}, "env_file": str(tmp_path / "alice.env")}
    backend = python(SHOW, **settings)
    with anyio.fail_after(10):
        argv, cwd, env = json.loads((await play(backend)).text())
    assert argv == ["--fast"]
    assert "the-bearer" not in " ".join(backend.argv())
    assert (env["API_KEY"], env["COLOUR"]) == ("top-secret", "red")
    ours = {name: value for name, value in env.items() if name.startswith("QUEENPOST_")}
    assert ours == {"QUEENPOST_MCP_URL": "http://127.0.0.1:1/mcp", "QUEENPOST_MCP_TOKEN": "the-bearer"}
    assert cwd == str(backend.seat.workspace.state)


async def test_it_runs_where_it_is_told(python: MakeCommand, tmp_path: Path) -> None:
    """Ours: `workdir`, else the agent's own folder."""
    (tmp_path / "work").mkdir()
    backend = python(SHOW, workdir=str(tmp_path / "work"))
    with anyio.fail_after(10):
        _, cwd, _ = json.loads((await play(backend)).text())
    assert Path(cwd) == (tmp_path / "work").resolve()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"command": ["no-such-program"]}, "'no-such-program' cannot be started: No such file"),
        ({"command": [__file__]}, "cannot be started: Permission denied"),
        ({"command": ["/bin/true"], "workdir": "/no/such/folder"}, "its folder /no/such/folder does not exist"),
        ({"command": ["/bin/true"], "args": ["a\0b"]}, "embedded null byte"),
        ({"command": ["/bin/true"], "env_file": "/no/such/file"}, "env_file /no/such/file cannot be read"),
    ],
)
async def test_what_cannot_be_started_is_a_missing_program(
    seat_for: MakeSeat, settings: dict[str, object], why: str
) -> None:
    """Ours: never the fault of the mail; the reason says what to do."""
    backend = CommandBackend(seat_for(backend="command", **settings))
    with anyio.fail_after(10), pytest.raises(NotStartedError, match=why) as caught:
        await play(backend)
    assert caught.value.outcome == "missing_program"


async def test_a_probe_names_what_is_missing(seat_for: MakeSeat) -> None:
    """Ours: before the first mail."""
    assert (await CommandBackend(seat_for(backend="command", command=[sys.executable])).probe()).problem is None
    missing = await CommandBackend(seat_for(backend="command", command=["no-such-program"])).probe()
    assert missing.problem == "'no-such-program' was not found; give its full path in `command`"
    unreadable = CommandBackend(seat_for(backend="command", command=["true"], env_file="/no/such/file"))
    assert "cannot be read" in ((await unreadable.probe()).problem or "")


async def test_a_new_secret_needs_no_restart(seat_for: MakeSeat, tmp_path: Path) -> None:
    """Ours: the file is read for every turn."""
    path = tmp_path / "alice.env"
    path.write_text("KEY=old\n")
    seat = seat_for(backend="command", command=["true"], env_file=str(path))
    assert seat.environment()["KEY"] == "old"
    path.write_text("KEY=new\n")
    assert seat.environment()["KEY"] == "new"


def test_secrets_are_what_has_to_be_masked(seat_for: MakeSeat, tmp_path: Path) -> None:
    """Ours: the bearer, and what is long enough in `env_file` to be a key."""
    path = tmp_path / "alice.env"
    path.write_text("KEY=sk-0123456789\nDEBUG=true\n")
    seat = seat_for(backend="command", command=["true"], env_file=str(path))
    assert seat.secrets() == ("the-bearer", "sk-0123456789")
    path.unlink()
    assert seat.secrets() == ("the-bearer",)


def test_an_exit_status_is_judged() -> None:
    """Ours: 0 is a finished turn."""
    assert judge(0).outcome == "completed"
    assert judge(3).reason == "exited with status 3"
    assert judge(-9).reason == "killed by SIGKILL"
    assert judge(-64).reason.startswith("killed by")


def test_the_settings_choose_the_backend(seat_for: MakeSeat) -> None:
    """Ours: and for `none` there is nothing to run."""
    assert isinstance(backend_for(seat_for(backend="command", command=["true"])), CommandBackend)
    assert isinstance(backend_for(seat_for(backend="scripted", script="echo")), ScriptedBackend)
    assert backend_for(seat_for(backend="none")) is None
