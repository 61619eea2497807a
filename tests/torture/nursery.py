"""A program that has the broker loaded and starts copies of it by fork: many starts in the time of few.

Each child runs `broker.__main__.main` as it is. Orders come on stdin, a line each: `start`, `kill` (SIGKILL, and
wait until it is gone). When stdin ends, so do child and nursery. It imports nothing of the tests.
"""

import gc
import os
import signal
import sys

from broker.__main__ import main


def tend(home: str) -> None:
    """Take orders until there are no more."""
    child: int | None = None
    for order in sys.stdin:
        if order.strip() == "start":
            child = os.fork()
            if child == 0:
                os._exit(main(["--home", home]))
        elif child is not None:
            kill(child)
            child = None
            os.write(1, b'{"event":"killed"}\n')
    if child is not None:
        kill(child)


def kill(child: int) -> None:
    """End a broker hard."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    gc.freeze()
    tend(sys.argv[1])
