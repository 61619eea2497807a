"""Telling processes apart."""

import os
import subprocess
import sys

import pytest

from harness import processes
from harness.processes import group_of, identity


def test_a_process_keeps_its_identity_and_no_other_has_it() -> None:
    """Ours: a pid alone may be given to another process."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert identity(other.pid) == identity(other.pid) != identity(os.getpid())
        other.communicate()


def test_a_process_that_is_gone_has_none() -> None:
    """Ours: the reaper kills nobody then."""
    with subprocess.Popen([sys.executable, "-c", ""]) as other:
        other.wait()
    assert identity(other.pid) is None
    assert group_of(other.pid) is None


@pytest.mark.skipif(sys.platform == "linux" and not os.path.exists("/bin/ps"), reason="no ps here")
def test_without_proc_ps_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Ours: macOS."""
    monkeypatch.setattr(processes, "PROC", processes.Path("/nowhere"))
    assert identity(os.getpid())
    assert identity(2**22 + 1) is None
