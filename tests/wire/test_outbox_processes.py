"""One outbox, many processes: every write is one transaction, and nothing is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from wire.outbox import MAX_WAITING, Outbox

PROCESSES, WRITES = 20, 50
WRITER = """
import sys
from pathlib import Path
from wire.outbox import Outbox
with Outbox(Path(sys.argv[1])) as outbox:
    print(flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[3])):
        said = f"{sys.argv[2]}/{number}"
        outbox.add("j1", 1, "t", lambda seq: f"{seq} {said}".encode(), retain=False)
"""


@pytest.mark.timeout(180)
def test_twenty_processes_lose_no_write_and_share_no_number(tmp_path: Path) -> None:
    """[X11] 20 × 50 read-modify-writes at once: each event has a number of its own, and is signed with that one."""
    path = tmp_path / "private" / "outbox.db"
    line = [sys.executable, "-P", "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*line, str(n), str(WRITES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(PROCESSES)
    ]
    try:
        for writer in writers:  # all of them are there before the first begins
            assert writer.stdout is not None
            assert writer.stdout.readline() == "\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("\n")
            writer.stdin.flush()
        for writer in writers:
            writer.communicate(timeout=120)
            assert writer.returncode == 0
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    with Outbox(path) as outbox:
        waiting = outbox.waiting(limit=MAX_WAITING)
    assert [one.seq for one in waiting] == list(range(1, PROCESSES * WRITES + 1))
    assert all(one.payload.split()[0] == str(one.seq).encode() for one in waiting)
    said = {one.payload.split()[1].decode() for one in waiting}
    assert said == {f"{n}/{number}" for n in range(PROCESSES) for number in range(WRITES)}
