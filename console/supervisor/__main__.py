"""`python -P -m console.supervisor --home PATH [--config FILE]`: what `queenpost up -d` leaves running.

One JSON line on stdout says that the fleet is ready or why it is not; after that the terminal is let go.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio

from console.supervisor.app import UpSettings, start
from console.supervisor.signals import stop_on_signals
from wire.errors import QueenpostError
from wire.home import Home


def main() -> int:
    """Parse, run, give the exit code."""
    parser = argparse.ArgumentParser(prog="queenpost up -d")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--config", type=Path)
    arguments = parser.parse_args()
    return anyio.run(_main, UpSettings(Home(arguments.home), arguments.config))


async def _main(settings: UpSettings) -> int:
    stop, drain = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as signals:
        await signals.start(stop_on_signals, stop, drain)
        try:
            await _serve(settings, stop, drain)
        except QueenpostError as exc:
            _say({"event": "refused", "code": exc.code, "message": exc.message})
            return getattr(exc, "exit_code", 1)
        finally:
            signals.cancel_scope.cancel()
    return 0


async def _serve(settings: UpSettings, stop: anyio.Event, drain: anyio.Event) -> None:
    try:
        async with anyio.create_task_group() as fleet:
            ready = await start(fleet, settings, stop, drain)
            if ready is not None:
                _say({"event": "ready", "broker": ready.broker, "harness": ready.harness})
                _let_go()
    except BaseExceptionGroup as group:
        # One task, so one failure.
        raise group.exceptions[0] from group


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _let_go() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


if __name__ == "__main__":
    sys.exit(main())
