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


QUICK = Plan(rounds=5, window_s=0.2, samples=25, restarts=1, idle_s=1.0, reminders=1000, drains=1)
"""Under 30 s."""
