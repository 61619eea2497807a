"""Who has an agent's session: its harness, or a terminal; and what becomes of it when they die."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import session_lock
from harness.processes import identity
from harness.session_lock import alone, end_leftover, guest_of, is_at_terminal, shared

HOLD = """
import sys
from pathlib import Path
from harness import session_lock
with session_lock.alone(Path(sys.argv[1])) as lock:
    print(lock.take(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where no lock lies yet."""
    return tmp_path / "session.lock"


def test_it_is_a_harness_or_a_terminal(path: Path) -> None:
    """Ours: never both; harnesses share it, for one that hangs must not keep the next from its agents."""
    assert not is_at_terminal(path)
    with shared(path) as first, shared(path) as second, alone(path) as terminal:
        assert (first, second) == (True, True)
        assert not terminal.take()
    with alone(path) as terminal, alone(path) as other:
        assert terminal.take()
        assert is_at_terminal(path)
        assert not other.take()
        with shared(path) as free:
            assert not free
    assert not is_at_terminal(path)


def test_it_is_said_who_has_it_with_which_program(path: Path) -> None:
    """Ours: for people, and for whoever has to end what was left behind."""
    with alone(path) as terminal:
        assert terminal.take()
        guest = guest_of(path)
        assert guest is not None
        assert (guest.pid, guest.program) == (os.getpid(), None)
        terminal.note(os.getppid())
        guest = guest_of(path)
        assert guest is not None
        assert (guest.program, guest.process) == (os.getppid(), identity(os.getppid()))
        terminal.leave()
        assert guest_of(path) is None


def test_the_death_of_its_holder_lets_it_go(path: Path) -> None:
    """Ours: kill -9; the kernel sees to it."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"True\n"
    assert is_at_terminal(path)
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    assert not is_at_terminal(path)


def test_what_a_terminal_left_behind_is_killed_once(path: Path) -> None:
    """Ours: by its identity; another process that has its number by now is left alone."""
    left = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    with alone(path) as terminal:
        assert terminal.take()
        terminal.note(left.pid)
    with alone(path) as terminal:
        assert terminal.take()
    assert left.wait() == -signal.SIGKILL
    path.write_text(f'{{"pid": 1, "program": {os.getpid()}, "process": "another/1"}}', encoding="utf-8")
    assert end_leftover(path) is None
    for broken in ("", "{", "[]", '{"pid": 1, "more": 2}'):
        path.write_text(broken, encoding="utf-8")
        assert end_leftover(path) is None


def test_where_nothing_can_be_locked_the_harness_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a file system without locks must not keep an agent from its mail."""

    def unknown(_descriptor: int, _kind: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(session_lock.fcntl, "flock", unknown)
    path.touch()
    with shared(path) as free:
        assert free
    assert not is_at_terminal(path)
    with shared(path.parent / "missing" / "session.lock") as free:
        assert free
