"""A run as a table for a person and as JSON for a program."""

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from benchmarks.figures import Figure
from benchmarks.plan import Plan


def as_json(plan: Plan, figures: Sequence[Figure]) -> dict[str, Any]:
    """Give the whole run: when, on what, how much, and every value of every round."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
        },
        "plan": asdict(plan),
        "figures": [figure.as_json() for figure in figures],
    }


def table(figures: Sequence[Figure]) -> str:
    """Give one line a figure: median, spread over the rounds, and the goal with its verdict."""
    head = ("", "median", "min", "max", "", "goal", "")
    rows = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(_line(row, widths) for row in rows)


def _row(figure: Figure) -> tuple[str, ...]:
    goal = "" if figure.goal is None else f"{figure.goal.sign} {figure.goal.bound:g}"
    if figure.left_out:
        return (figure.name, "", "", "", "", goal, f"left out: {figure.left_out}")
    numbers = (_number(value) for value in (figure.median, min(figure.values), max(figure.values)))
    if figure.goal is None:
        return (figure.name, *numbers, figure.unit, "", "")
    verdict = "reached" if figure.reached else "MISSED"
    return (figure.name, *numbers, figure.unit, goal, verdict)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *others = row
    cells = [name.ljust(widths[0])]
    cells += [
        cell.ljust(width) if column >= 3 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(others, widths[1:], strict=True))
    ]
    return "  ".join(cells).rstrip()
