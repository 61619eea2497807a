"""`make bench`, or `python -P -m benchmarks`: measure, print a table, write JSON."""

import argparse
import gc
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import anyio

from benchmarks.figures import Figure
from benchmarks.plan import QUICK, Plan
from benchmarks.report import as_json, table
from benchmarks.suite import measure
from broker.__main__ import GC_THRESHOLDS

RESULTS = Path(__file__).parent / "results"
"""Where runs are kept; not in git."""
EXIT_MISSED = 1
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Measure once; 0 unless `--check` was given and a goal was missed."""
    args = _arguments(argv)
    plan = QUICK if args.quick else Plan()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)  # as in the broker, for the client of the floor too
    with tempfile.TemporaryDirectory(prefix="qp-bench-", dir=args.folder) as folder:
        figures = anyio.run(_until_a_signal, plan, Path(folder))
    if figures is None:
        return EXIT_INTERRUPTED
    print(table(figures), flush=True)
    _write(args.json, json.dumps(as_json(plan, figures), ensure_ascii=False, indent=2))
    missed = [figure.name for figure in figures if figure.reached is False]
    return EXIT_MISSED if args.check and missed else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description="Measure Queenpost against a floor that is taken in the same run."
    )
    parser.add_argument("--quick", action="store_true", help="shorter rounds: under two minutes instead of six")
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal was missed")
    parser.add_argument("--json", metavar="FILE", help="where to write the JSON; - is stdout, behind the table")
    parser.add_argument(
        "--folder", type=Path, help="on which disk: the databases lie in a folder of their own in this one"
    )
    return parser.parse_args(argv)


async def _until_a_signal(plan: Plan, folder: Path) -> list[Figure] | None:
    """Measure; None if SIGINT or SIGTERM came, after every program was stopped."""
    figures: list[Figure] | None = None
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    group.cancel_scope.cancel()

        group.start_soon(watch)
        figures = await measure(plan, folder, _say)
        group.cancel_scope.cancel()
    return figures


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _write(where: str | None, text: str) -> None:
    if where == "-":
        print(text)
        return
    path = Path(where) if where else RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    _say(f"written to {path}")


if __name__ == "__main__":
    sys.exit(main())
