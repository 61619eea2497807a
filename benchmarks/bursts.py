"""How many turns a burst of messages makes, of an agent that drains as it is told to, and of one that does not."""

from pathlib import Path

from benchmarks.hosted import hosted, settings_of
from benchmarks.plan import Plan
from benchmarks.rows import Series

TAKES_WHAT_IT_IS_GIVEN = "def run(agent):\n    agent.say(f'read {len(agent.mail)}')\n"


async def bursts(series: Series, plan: Plan, folder: Path) -> None:
    """Send to scripted agents; each burst finds them parked."""
    folder.mkdir()
    script = folder / "reads.py"
    script.write_text(TAKES_WHAT_IT_IS_GIVEN, encoding="utf-8")
    scripts = {"drains": "echo", "reads": str(script)}
    agents = {name: ['backend = "scripted"', f'script = "{script}"'] for name, script in scripts.items()}
    async with hosted(folder / "home", settings_of(agents)) as fleet:
        for _ in range(plan.bursts):
            for name in agents:
                await fleet.agents_are(lambda agent: agent.state == "idle")
                series.add(f"burst, {name}", await fleet.turns_for(name, plan.burst))
