"""Figures of a run: one value a round, shown as their median with the smallest and the largest; and the goals."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

US = 1e6
"""Microseconds in a second."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure has to reach."""

    sign: Literal["≥", "≤"]
    bound: float

    def reached(self, value: float) -> bool:
        """Say whether a value is good enough."""
        return value >= self.bound if self.sign == "≥" else value <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured, once a round."""

    name: str
    unit: str
    values: Sequence[float]
    goal: Goal | None = None
    left_out: str = ""
    """Why it was not measured; then there are no values."""

    @property
    def median(self) -> float:
        """The figure that counts."""
        return statistics.median(self.values)

    @property
    def reached(self) -> bool | None:
        """Whether the median reaches the goal; None without one, or where nothing was measured."""
        return None if self.goal is None or self.left_out else self.goal.reached(self.median)

    def as_json(self) -> dict[str, Any]:
        """Give it as it stands in the JSON file."""
        about = asdict(self)
        if self.left_out:
            return about
        del about["left_out"]
        spread = {"median": self.median, "min": min(self.values), "max": max(self.values)}
        return {**about, "values": list(self.values), **spread, "reached": self.reached}


def percentile(samples: Sequence[float], percent: float) -> float:
    """Give the sample below which so many percent of the others lie."""
    ordered = sorted(samples)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Divide round by round: what disturbed a round disturbed both."""
    return [a / b for a, b in zip(numerators, denominators, strict=True)]
