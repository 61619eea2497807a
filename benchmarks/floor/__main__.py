"""`python -P -m benchmarks.floor`: the floor's process, until SIGTERM."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from types import FrameType

from benchmarks.floor.server import serve
from broker.__main__ import SWITCH_INTERVAL_S


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    """Parse and listen."""
    parser = argparse.ArgumentParser(prog="benchmarks.floor")
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--agents", required=True, help="names with commas between them")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    asyncio.run(serve(args.database, args.socket, args.agents.split(",")))


if __name__ == "__main__":
    main()
