"""What agents cost that have nothing to do: processor time, calls of a model, memory in the harness they share."""

from pathlib import Path

import anyio

from benchmarks.hosted import Hosted, hosted, settings_of
from benchmarks.plan import Plan
from benchmarks.rows import Series
from wire.agents import AgentSummary

SETTLE_S = 1.0
"""Behind the last thing that happened, before anything is measured."""
MIB = 1024 * 1024


async def idleness(series: Series, plan: Plan, folder: Path) -> None:
    """One agent, those whose processor time counts, and a crowd: each in a fleet of its own."""
    async with hosted(folder / "one", _settings(1)) as fleet:
        one = await _parked(fleet)
    async with hosted(folder / "idle", _settings(plan.idle_agents)) as fleet:
        await _parked(fleet)
        await _processor_time(series, plan, fleet)
    async with hosted(folder / "crowd", _settings(plan.crowd)) as fleet:
        _memory(series, "idle", plan, one, await _parked(fleet))
        for number in range(plan.crowd):
            await fleet.send(_name(number), "Please look at the queue.")
        await fleet.agents_are(lambda agent: agent.last_turn is not None)
        _memory(series, "worked", plan, one, await _parked(fleet))


def _name(number: int) -> str:
    return f"agent-{number}"


def _settings(count: int) -> str:
    """The model is `cat`: as small as a program gets."""
    return settings_of({_name(number): ['backend = "command"', 'command = ["cat"]'] for number in range(count)})


async def _parked(fleet: Hosted) -> dict[str, float]:
    """Wait until everybody waits for mail; gives the memory of the harness then, in bytes by kind."""
    await fleet.agents_are(_is_parked)
    await anyio.sleep(SETTLE_S)
    return memory(fleet.harness)


def _is_parked(agent: AgentSummary) -> bool:
    return agent.attached and agent.state == "idle" and not (agent.ready or agent.leased)


async def _processor_time(series: Series, plan: Plan, fleet: Hosted) -> None:
    before = fleet.processor_s()
    await anyio.sleep(plan.hosted_idle_s)
    after = fleet.processor_s()
    series.add("idle calls", len(fleet.transcripts()))
    if before is not None and after is not None:
        series.add("idle fleet", (after - before) / plan.hosted_idle_s)


def _memory(series: Series, name: str, plan: Plan, one: dict[str, float], crowd: dict[str, float]) -> None:
    for kind, size in crowd.items():
        series.add(f"{name} {kind}", (size - one[kind]) / (plan.crowd - 1))


def memory(pid: int) -> dict[str, float]:
    """Give a process' memory in MiB: `rss`, and `pss` that counts its part of what it shares. Empty on macOS."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    kib = {line.split(":")[0].lower(): int(line.split()[1]) for line in lines if line.startswith(("Rss:", "Pss:"))}
    return {kind: size * 1024 / MIB for kind, size in kib.items()}
