"""A harness that kills itself at a step of its first turn: `mortal_harness.py STEP ARGUMENTS…`."""

import os
import signal
import sys

from harness.__main__ import parse
from harness.app import serve


async def _die_at(step: str) -> None:
    if step == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(serve(parse(sys.argv[2:]), checkpoint=_die_at))
