"""`python -P -m broker --home PATH`: parse, then `broker.app.serve`. Prints one ready line when it listens."""

import argparse
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import anyio

from broker.app import BrokerOptions, serve
from broker.edge.office import Office
from broker.store.refusals import SecondBroker
from wire.errors import QueenpostError
from wire.home import find_home
from wire.logs import configure, get_logger

EXIT_REFUSED = 1
EXIT_SECOND_BROKER = 3
SWITCH_INTERVAL_S = 0.0005
"""The writer's thread hands over often and briefly; the default of 5 ms would make it wait for the loop."""

GC_THRESHOLDS = (20_000, 20, 20)
"""A batch makes thousands of objects that end with it; to look for cycles among them took a tenth of all the work."""

log = get_logger("broker")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a broker until SIGTERM or Ctrl-C; gives the exit code."""
    parser = argparse.ArgumentParser(prog="queenpost broker", description="Run the broker of a fleet.")
    parser.add_argument("--home", help="folder of the fleet")
    parser.add_argument("--config", help="settings file, where it is not in or beside the home")
    args = parser.parse_args(argv)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        home = find_home(args.home, os.environ, Path.cwd())
        home.create()
        configure("broker", folder=home.logs, console=sys.stderr, env=os.environ)
        options = BrokerOptions(home, home.config(args.config))
        anyio.run(_run, options)
    except KeyboardInterrupt:
        return 0
    except Exception as exc:  # noqa: BLE001  # outermost handler; what is no refusal is logged
        return _exit_code(_cause(exc))
    return 0


def _cause(exc: Exception) -> Exception:
    """Take an error out of the task groups that it came through."""
    inner = cast("tuple[Exception, ...]", getattr(exc, "exceptions", ()))
    return _cause(inner[0]) if len(inner) == 1 else exc


def _exit_code(exc: Exception) -> int:
    """Say why the broker does not run; one line for what a person can mend, a stack trace for a defect of ours."""
    match exc:
        case SecondBroker():
            _complain(exc.code, exc.message)
            return EXIT_SECOND_BROKER
        case QueenpostError():
            _complain(exc.code, exc.message)
        case OSError():
            _complain("unavailable", f"{exc}; check the home's disk and modes")
        case _:
            log.exception("broker_crashed")  # noqa: LOG004  # called from a handler only
            _complain("internal", "it crashed; the log says why")
    return EXIT_REFUSED


def _complain(code: str, message: str) -> None:
    print(f"queenpost broker: {code}: {message}", file=sys.stderr)


async def _run(options: BrokerOptions) -> None:
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(_watch_signals, stop)
        await serve(options, stop, _say_ready)
        group.cancel_scope.cancel()


async def _watch_signals(stop: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stop.set()


def _say_ready(office: Office) -> None:
    line = {
        "event": "ready",
        "fleet": office.fleet,
        "home": str(office.home.root),
        "socket": str(office.home.socket),
        "pid": os.getpid(),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
