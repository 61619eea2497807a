"""The rows of the table: which figure is made of which series, and what the goals are."""

from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.figures import US, Figure, Goal, ratios
from benchmarks.plan import Plan


@dataclass(slots=True)
class Series:
    """Figures as they come in, one value a round, by name."""

    values: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict[str, list[float]](list))

    def __getitem__(self, name: str) -> list[float]:
        return self.values[name]

    def add(self, name: str, value: float) -> None:
        """Add the value of this round."""
        self.values[name].append(value)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def figure(self, name: str, unit: str, series: str, factor: float = 1.0) -> list[Figure]:
        """Make a row of one series; none where it was not taken."""
        return [Figure(name, unit, [value * factor for value in self[series]])] if series in self else []


def figures(series: Series, plan: Plan) -> list[Figure]:
    """Give every row: the goals first, what they are made of behind them."""
    pairs = f"{plan.pairs} pairs"
    return [
        *_goals(series, plan),
        *series.figure(f"life cycles, {pairs}", "/s", "product cycles"),
        *series.figure(f"life cycles, {pairs}, floor", "/s", "floor cycles"),
        *series.figure("broker's processor time for a life cycle", "µs", "product cycles cpu", US),
        *series.figure("the same of the floor", "µs", "floor cycles cpu", US),
        *series.figure(f"durable sends, {plan.pairs} senders", "/s", "product sends"),
        *series.figure(f"durable sends, {plan.pairs} senders, floor", "/s", "floor sends"),
        *series.figure("broker's processor time for a send", "µs", "product sends cpu", US),
        *series.figure("the same of the floor", "µs", "floor sends cpu", US),
        *series.figure("durable sends, 1 sender", "/s", "product one"),
        *series.figure("durable sends, 1 sender, floor", "/s", "floor one"),
        *series.figure("one durable commit of SQLite, p50", "µs", "commit", US),
        *series.figure("null round trip, p50", "µs", "product ping", US),
        *series.figure("null round trip, p50, floor", "µs", "floor ping", US),
        *series.figure("durable send, p50", "µs", "product send p50", US),
        *series.figure("durable send, p99", "µs", "product send p99", US),
        *series.figure("durable send, p50, floor", "µs", "floor send p50", US),
        _send_ratio(series),
        *series.figure("parked open behind the receipt, p50", "µs", "product wake", US),
        *series.figure("start after kill -9 to the first durable answer", "ms", "restart", 1e3),
        *series.figure("processor time of a broker with parked agents only", "%", "idle", 100.0),
    ]


def _goals(series: Series, plan: Plan) -> list[Figure]:
    return [
        Figure(
            f"life cycles, {plan.pairs} pairs ÷ floor",
            "×",
            ratios(series["product cycles"], series["floor cycles"]),
            Goal("≥", 0.4),
        ),
        Figure(
            f"durable sends, {plan.pairs} senders ÷ 1 sender",
            "×",
            ratios(series["product sends"], series["product one"]),
            Goal("≥", 10.0),
        ),
        Figure(
            "parked open behind the receipt ÷ one commit",
            "×",
            ratios(series["product wake"], series["commit"]),
            Goal("≤", 1.0),
        ),
    ]


def _send_ratio(series: Series) -> Figure:
    parts = [ping + commit for ping, commit in zip(series["product ping"], series["commit"], strict=True)]
    return Figure("durable send, p50 ÷ (null round trip + one commit)", "×", ratios(series["product send p50"], parts))
