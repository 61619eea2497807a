"""A program that has the broker loaded and starts copies of it by fork: many starts in the time of few.

Each child runs `broker.__main__.main` as it is. Orders come on stdin, a line each: `start`, `kill` (SIGKILL, and
wait until it is gone), `try SECONDS` (start, and kill after so long, ready or not). When stdin ends, so do child
and nursery. It imports nothing of the tests.
"""

import gc
import os
import select
import signal
import sys

from broker.__main__ import main


def tend(home: str) -> None:
    """Take orders until there are no more."""
    child: int | None = None
    try:
        for line in sys.stdin:
            order, *arguments = line.split()
            if order in {"start", "try"}:
                assert child is None, "one broker at a time"
                child = born(home)
            if order == "try":
                select.select([], [], [], float(arguments[0]))
            if order in {"kill", "try"} and child is not None:
                kill(child)
                child = None
                os.write(1, b'\n{"event":"killed"}\n')  # its own line may have been cut
    finally:
        if child is not None:
            kill(child)


def born(home: str) -> int:
    """Start a broker; gives its process id."""
    child = os.fork()
    if child == 0:
        os._exit(main(["--home", home]))
    return child


def kill(child: int) -> None:
    """End a broker hard."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    gc.freeze()
    tend(sys.argv[1])
