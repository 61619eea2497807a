"""One supervisor per home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.supervisor.lock import Held, hold, holder


def test_the_holder_stands_in_the_file(tmp_path: Path) -> None:
    """DESIGN 2: `down` signals the lock holder."""
    path = tmp_path / "run" / "up.lock"
    assert holder(path) is None
    with hold(path):
        assert holder(path) == os.getpid()
        assert path.read_text() == f"{os.getpid()}\n"
    assert holder(path) is None


def test_a_second_one_is_told_who_has_it(tmp_path: Path) -> None:
    """DESIGN 2: exit 3."""
    with hold(tmp_path / "up.lock"), pytest.raises(Held) as caught, hold(tmp_path / "up.lock"):
        pass
    assert caught.value.pid == os.getpid()


def test_a_file_that_was_left_behind_locks_nothing(tmp_path: Path) -> None:
    """Ours: the lock ends with its process, even one that was killed."""
    path = tmp_path / "up.lock"
    code = (
        "import os, sys; from pathlib import Path; from console.supervisor.lock import hold\n"
        "with hold(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-P", "-c", code, str(path)], check=False)
    assert path.read_text() != ""
    assert holder(path) is None
    with hold(path):
        assert holder(path) == os.getpid()


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    """Ours: an orphan must not keep the home locked."""
    path = tmp_path / "up.lock"
    with hold(path):
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, close_fds=False
        )
    assert holder(path) is None
    child.communicate(b"")
