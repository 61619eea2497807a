"""A harness that dies at a step of its loop, or kills its agent's program there: `mortal_harness.py ARMED ARGUMENTS…`.

The file ARMED says where: `STEP harness`, `STEP program`, or `STEP program if-any`, which waits for a turn in which one
runs at that step. It is taken away before anything is killed, and one beside it says who was. Where nothing is armed
this is the harness of every day. With `--nursery ARMED` it takes orders on stdin and starts such harnesses by fork:
many starts in the time of few.
"""

import gc
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from harness.__main__ import parse
from harness.app import serve


class Armed:
    """The checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __call__(self, step: str) -> None:
        """Kill whom the file names, if it names this step."""
        if not self._path.exists():
            return
        where, victim, *if_any = self._path.read_text().split()
        pids = [os.getpid()] if victim == "harness" else children()
        if where != step or (if_any and not pids):
            return
        self._path.unlink()
        killed = self._path.with_name("killed")
        killed.with_suffix(".new").write_text(json.dumps(pids))
        killed.with_suffix(".new").replace(killed)
        if victim == "harness":
            os.kill(os.getpid(), signal.SIGKILL)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def children() -> list[int]:
    """Give the programs that this harness has started; each leads a group of its own."""
    found = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
    return [int(pid) for pids in found for pid in pids if os.getpgid(int(pid)) == int(pid)]


def tend(armed: Path) -> None:
    """Take orders, a line of JSON each, until there are no more: `start ARGUMENTS…`, `wait`, `signal NUMBER`."""
    child: int | None = None
    try:
        for line in sys.stdin:
            order, *arguments = json.loads(line)
            if order == "start":
                assert child is None, "one harness at a time"
                child = born(armed, arguments)
            elif child is not None:
                if order == "signal":
                    os.kill(child, arguments[0])
                _, status = os.waitpid(child, 0)
                child = None
                ended = {"event": "ended", "code": os.waitstatus_to_exitcode(status)}
                os.write(1, b"\n" + json.dumps(ended).encode() + b"\n")  # its own line may have been cut
    finally:
        if child is not None:
            os.kill(child, signal.SIGKILL)


def born(armed: Path, arguments: list[str]) -> int:
    """Start a harness; gives its process id. Its ready line goes where our events go."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115  # the orders are not for it
            code = serve(parse(arguments), checkpoint=Armed(armed))
        finally:
            os._exit(code)
    return child


if __name__ == "__main__":
    if sys.argv[1] == "--nursery":
        gc.freeze()
        tend(Path(sys.argv[2]))
    else:
        sys.exit(serve(parse(sys.argv[2:]), checkpoint=Armed(Path(sys.argv[1]))))
