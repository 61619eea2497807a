"""The hook that waits, as a program: what it says at the door, with what it ends, and that nothing holds it up."""

import json
import socket
import sys
from collections.abc import Generator
from subprocess import PIPE, Popen, run

import pytest

from mcp_tools.hooks import session, waiting
from wire.home import Home
from wire.private_files import write_secret

PROGRAM = [sys.executable, "-I", "-S", str(waiting.__file__)]
HEARD = {"session_id": "s1", "hook_event_name": "Stop", "stop_hook_active": True, "prompt": "a secret of the user"}
WITHIN_S = 12


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a note of where the door is."""
    home = Home(tmp_path_factory.mktemp("q"))
    home.create()
    write_secret(home.run / "door-alice", str(home.run / "door.sock"))
    return home


@pytest.fixture
def door(home: Home) -> Generator[socket.socket]:
    """The process that opened the session, as far as a hook knows it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(home.run / "door.sock"))
        listener.listen(5)
        listener.settimeout(WITHIN_S)
        yield listener


def hook(home: Home, mode: str = "wait") -> "Popen[bytes]":
    """Start it as a client does."""
    process = Popen([*PROGRAM, mode, "alice", str(home.root)], stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(HEARD).encode())
    process.stdin.close()
    process.stdin = None
    return process


def ended(process: "Popen[bytes]") -> tuple[int, bytes, bytes]:
    """Wait for its end."""
    out, err = process.communicate(timeout=WITHIN_S)
    return process.returncode, out, err


def said(connection: socket.socket) -> dict[str, object]:
    """Read what it says."""
    connection.settimeout(WITHIN_S)
    return json.loads(connection.makefile("rb").readline())


@pytest.mark.parametrize(("count", "words"), [(1, b"1 message waits"), (7, b"7 messages wait")])
def test_let_out_with_a_count_it_wakes_the_model(home: Home, door: socket.socket, count: int, words: bytes) -> None:
    """[P02] Exit code 2, and one sentence on stderr that holds a count and no word of a body."""
    with hook(home) as process:
        connection, _ = door.accept()
        with connection:
            assert said(connection) == {
                "waits": True, "event": "Stop", "session": "s1", "source": "None", "again": True,
            }  # fmt: skip
            assert process.poll() is None
            connection.sendall(f"{count}\n".encode())
        assert ended(process) == (2, b"", b"Queenpost: " + words + b"; call recv.")


def test_the_end_of_the_session_ends_it_in_silence(home: Home, door: socket.socket) -> None:
    """[P15] Also a kill -9: the kernel closes the connection. No orphan, and nobody is woken."""
    with hook(home) as process:
        connection, _ = door.accept()
        said(connection)
        connection.close()
        assert ended(process) == (0, b"", b"")


def test_one_that_tells_does_not_wait(home: Home, door: socket.socket) -> None:
    """Ours: Codex waits for each of its hooks."""
    with hook(home, "tell") as process:
        connection, _ = door.accept()
        with connection:
            assert said(connection)["waits"] is False
            assert ended(process) == (0, b"", b"")


@pytest.mark.parametrize("variable", [*session.HOSTED, session.SESSION])
def test_in_the_program_of_another_agent_it_is_silent(
    home: Home, door: socket.socket, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Ours: hosted in the same folder, or opened as somebody else."""
    monkeypatch.setenv(variable, "bob")
    with hook(home) as process:
        assert ended(process) == (0, b"", b"")
    door.settimeout(0)
    with pytest.raises(BlockingIOError):
        door.accept()


@pytest.mark.parametrize("words", [[], ["wait"], ["wait", "alice"], ["wait", "alice", "/nowhere"], ["dance", "x", "/"]])
def test_whatever_is_missing_it_is_silent(words: list[str]) -> None:
    """Ours: a session without us is a session as always."""
    done = run([*PROGRAM, *words], input=b"garbage", capture_output=True, check=False, timeout=WITHIN_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_nobody_at_the_door_is_no_reason_to_wait(home: Home) -> None:
    """Ours: the process that opened the session was killed, and its note is still there."""
    with hook(home) as process:
        assert ended(process) == (0, b"", b"")


LOADED = """
import runpy, sys
path, *sys.argv = sys.argv[1:]
try:
    runpy.run_path(path, run_name="__main__")
finally:
    print(*sys.modules)
"""


def test_it_loads_nothing_slow(home: Home) -> None:
    """Spec: the standard library only; it runs at every turn."""
    line = [sys.executable, "-I", "-S", "-c", LOADED, str(waiting.__file__), "x", "tell", "alice", str(home.root)]
    loaded = run(line, input=b"{}", capture_output=True, check=True, timeout=WITHIN_S).stdout.decode().split()
    assert "mcp_tools.hooks.session" in loaded
    assert not {"asyncio", "pydantic", "anyio", "wire"} & set(loaded)
