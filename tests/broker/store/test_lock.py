"""One broker at a time, and what becomes of the lock when one ends without saying so."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from broker.store.database import Database
from broker.store.refusals import NotOurs, SecondBroker
from tests.broker.store.letters import open_letters


def test_what_was_committed_is_there_after_kill_9(path: Path) -> None:
    """DESIGN 5.1: a send commits before it replies. The lock ends with its process."""
    program = (
        "import sys, time; from pathlib import Path; from tests.broker.store.letters import *\n"
        "database = open_letters(Path(sys.argv[1]))\n"
        "Group(database, FakeClock(), lambda tx: None).commit([job(send('anna', 'kept'))])\n"
        "print('committed', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", program, path], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"committed\n"
        with pytest.raises(SecondBroker, match=f"pid {child.pid}"):
            open_letters(path)
        child.send_signal(signal.SIGKILL)
    with open_letters(path) as database:
        assert [row["body"] for row in database.connection.execute(database.queries["letters.all"])] == ["kept"]


def test_a_second_broker_on_one_home_is_refused(database: Database, path: Path) -> None:
    """DESIGN 6: it is told which process to look at."""
    with pytest.raises(SecondBroker, match=rf"another broker \(pid {os.getpid()}\) runs on this home"):
        open_letters(path)
    database.close()
    open_letters(path).close()


def test_a_refused_opening_leaves_no_lock_behind(path: Path) -> None:
    """Ours: otherwise the repaired home would need a restart of whatever tried it."""
    path.write_bytes(b"not a database at all")
    for _ in range(2):
        with pytest.raises(NotOurs):
            open_letters(path)
