"""The rows of the table: which figure is made of which series, and what the goals are."""

from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.figures import US, Figure, Goal, ratios
from benchmarks.plan import Plan
from benchmarks.slow_disk import MORE_S


@dataclass(slots=True)
class Series:
    """Figures as they come in, one value a round, by name."""

    values: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict[str, list[float]](list))
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    """Why a program was not measured, by its name."""

    def __getitem__(self, name: str) -> list[float]:
        return self.values[name]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def add(self, name: str, value: float) -> None:
        """Add the value of this round."""
        self.values[name].append(value)

    def figure(self, name: str, unit: str, series: str, factor: float = 1.0, goal: Goal | None = None) -> list[Figure]:
        """Make a row of one series; none where it was not taken."""
        return [Figure(name, unit, [value * factor for value in self[series]], goal)] if series in self else []

    def ratio(self, name: str, numerator: str, denominator: str, goal: Goal | None = None) -> Figure:
        """Make a row of two series, divided round by round."""
        return Figure(name, "×", ratios(self[numerator], self[denominator]), goal)


def figures(series: Series, plan: Plan) -> list[Figure]:
    """Give every row: the goals first, what they are made of behind them."""
    many = f"{plan.pairs} senders"
    return [
        series.ratio(f"life cycles, {plan.pairs} pairs ÷ floor", "product cycles", "floor cycles", Goal("≥", 0.4)),
        series.ratio(f"durable sends, {many} ÷ 1 sender", "product sends", "product one", Goal("≥", 10.0)),
        series.ratio("parked open behind the receipt ÷ one commit", "product wake", "commit", Goal("≤", 1.0)),
        series.ratio("durable send beside malformed frames, p99 ÷ alone", "noisy p99", "calm p99", Goal("≤", 2.0)),
        series.ratio("a session's hook, all of it ÷ `python -S -c pass`", "hook", "bare python", Goal("≤", 5.0)),
        series.ratio(
            f"durable send beside {plan.reminders:,} reminders that are due, p95 ÷ alone",
            "send p95 beside reminders",
            "idle send p95",
            Goal("≤", 2.0),
        ),
        series.ratio(f"life cycles, {plan.pairs} pairs ÷ floor with our client", "product cycles", "our client cycles"),
        series.ratio(f"durable sends, {many} ÷ 1 sender, floor", "floor sends", "floor one"),
        series.ratio(f"the same of the product, syncs {MORE_S * 1000:g} ms longer", "slow sends", "slow one"),
        series.ratio(f"durable sends, {many} ÷ floor", "product sends", "floor sends"),
        *_life_cycles(series, plan),
        *_sends(series, many),
        *_latencies(series),
        *series.figure("start after kill -9 to the first durable answer", "ms", "restart", 1e3),
        *series.figure("processor time of a broker with parked agents only", "%", "idle", 100.0),
    ]


def _life_cycles(series: Series, plan: Plan) -> list[Figure]:
    name = f"life cycles, {plan.pairs} pairs"
    return [
        *series.figure(name, "/s", "product cycles"),
        *series.figure(f"{name}, floor", "/s", "floor cycles"),
        *_processor_time(series, "life cycle", "cycles"),
    ]


def _sends(series: Series, many: str) -> list[Figure]:
    return [
        *series.figure(f"durable sends, {many}", "/s", "product sends"),
        *series.figure(f"durable sends, {many}, floor", "/s", "floor sends"),
        *_processor_time(series, "send", "sends"),
        *series.figure("durable sends, 1 sender", "/s", "product one"),
        *series.figure("durable sends, 1 sender, floor", "/s", "floor one"),
    ]


def _processor_time(series: Series, act: str, name: str) -> list[Figure]:
    return [
        *series.figure(f"processor time for a {act}, broker", "µs", f"product {name} broker cpu", US),
        *series.figure(f"processor time for a {act}, broker, floor", "µs", f"floor {name} broker cpu", US),
        *series.figure(f"processor time for a {act}, client", "µs", f"product {name} client cpu", US),
        *series.figure(f"processor time for a {act}, client, floor", "µs", f"floor {name} client cpu", US),
    ]


def _latencies(series: Series) -> list[Figure]:
    parts = [ping + commit for ping, commit in zip(series["product ping"], series["commit"], strict=True)]
    name = "durable send, p50 ÷ (null round trip + one commit)"
    return [
        *series.figure("one durable commit of SQLite, p50", "µs", "commit", US),
        *series.figure("null round trip, p50", "µs", "product ping", US),
        *series.figure("null round trip, p50, floor", "µs", "floor ping", US),
        *series.figure("durable send, p50", "µs", "product send p50", US),
        *series.figure("durable send, p50, floor", "µs", "floor send p50", US),
        *series.figure("durable send, p99", "µs", "product send p99", US),
        Figure(name, "×", ratios(series["product send p50"], parts)),
        *series.figure("parked open behind the receipt, p50", "µs", "product wake", US),
        *series.figure("durable send, p99, of one client alone", "µs", "calm p99", US),
        *series.figure("durable send, p99, beside malformed frames", "µs", "noisy p99", US),
        *series.figure("durable send, p95, beside reminders", "µs", "send p95 beside reminders", US),
        *series.figure("reminders fired beside the sends", "/s", "reminders"),
        *series.figure("durable send by the MCP tool over stdio, p50", "µs", "tool send", US),
        *series.figure("a session's hook at a tool call, all of it, p50", "ms", "hook", 1e3),
    ]
