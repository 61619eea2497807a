"""The rows on agents that work in a fleet: which figure is made of which series, and what the goals are."""

from benchmarks.figures import Figure, Goal
from benchmarks.plan import Plan
from benchmarks.rows import Series


def agent_goals(series: Series, plan: Plan) -> list[Figure]:
    """Give the rows that have to reach something."""
    burst = f"turns for {plan.burst} messages at once"
    return [
        _claude(
            series, "send to first request of the model, p95 ÷ its own warm turn", "send to model p95", Goal("≤", 4)
        ),
        _claude(series, "what the turn loop adds to a turn ÷ its own warm turn", "loop", Goal("≤", 1)),
        *series.figure(f"model calls of {plan.idle_agents} idle agents", "", "idle calls", goal=Goal("≤", 0)),
        *series.figure(
            f"a core for {plan.idle_agents} idle agents, broker and harness", "%", "idle fleet", 100.0, Goal("≤", 1)
        ),
        *series.figure(f"{burst}, scripted agent", "", "burst, reads", goal=Goal("≤", 5)),
        *series.figure(f"{burst}, scripted agent that drains", "", "burst, drains", goal=Goal("≤", 2)),
        _burst_of_claude(series, f"{burst}, Claude Code that drains"),
        *series.figure(f"memory of one of {plan.crowd} idle agents", "MiB", "idle rss", goal=Goal("≤", 1)),
        *series.figure(f"{plan.working} working agents frozen", "s", "freeze", goal=Goal("≤", 2)),
    ]


def agent_figures(series: Series, plan: Plan) -> list[Figure]:
    """Give what they are made of."""
    return [
        *series.figure("warm turn of Claude Code, driven directly, p50", "ms", "own turn", 1e3),
        *series.figure("turn of it in a fleet, send to handled, p50", "ms", "hosted turn", 1e3),
        *series.figure("send to first request of the model, p50", "ms", "send to model p50", 1e3),
        *series.figure("send to first request of the model, p95", "ms", "send to model p95", 1e3),
        *series.figure("memory of one idle agent, proportional share", "MiB", "idle pss"),
        *series.figure("memory of one agent after a turn each", "MiB", "worked rss"),
        *series.figure("memory of one agent after a turn each, proportional share", "MiB", "worked pss"),
        *series.figure(f"{plan.working} programs killed directly", "s", "kill"),
        series.ratio(f"{plan.working} working agents frozen ÷ killed directly", "freeze", "kill"),
    ]


def _claude(series: Series, name: str, numerator: str, goal: Goal) -> Figure:
    name = f"Claude Code: {name}"
    if why := series.left_out.get("claude"):
        return Figure(name, "×", [], goal, why)
    return series.ratio(name, numerator, "own turn", goal)


def _burst_of_claude(series: Series, name: str) -> Figure:
    return Figure(name, "", series["claude burst"], Goal("≤", 2), series.left_out.get("claude", ""))
