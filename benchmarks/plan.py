"""How much a run measures; what it measures stands in `benchmarks.suite`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int = 7
    pairs: int = 64
    window_s: float = 1.0
    """How long each load lasts in each round."""
    samples: int = 200
    """Latencies are taken so many times in each round."""
    restarts: int = 3
    idle_agents: int = 50
    idle_s: float = 5.0
    reminders: int = 10_000
    """Due at one instant."""
    drains: int = 2
    real_programs: bool = True
    """Measure with Claude Code too, where it is installed."""
    turns: int = 30
    """Of a real program, in each of `turn_rounds`."""
    turn_rounds: int = 5
    burst: int = 100
    """Messages at once."""
    bursts: int = 3
    hosted_idle_s: float = 10.0
    crowd: int = 200
    """Agents in one harness."""
    working: int = 50
    """Agents that are frozen in the middle of a turn."""
    freezes: int = 3


QUICK = Plan(
    rounds=5, window_s=0.2, samples=25, restarts=1, idle_s=1.0, reminders=1000, drains=1, turns=10, turn_rounds=3,
    bursts=1, hosted_idle_s=3.0, freezes=1,
)  # fmt: skip
"""Under two minutes."""
