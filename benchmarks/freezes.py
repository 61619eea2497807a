"""How long the emergency stop takes: from the command until nothing of the agents' programs runs any more."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import anyio
from anyio import to_thread

from benchmarks.hosted import WITHIN_S, Hosted, hosted, settings_of
from benchmarks.plan import Plan
from benchmarks.rows import Series
from wire.client import new_key
from wire.office import FleetFreeze, FleetFrozen

WORD = "at work"
WORKS = f"import time\n\ndef run(agent):\n    agent.say({WORD!r})\n    time.sleep(3600)\n"
BARE = "import time; print(flush=True); time.sleep(3600)"
LOOK_EVERY_S = 0.002


async def freezes(series: Series, plan: Plan, folder: Path) -> None:
    """Freeze agents in the middle of their turns, each time in a new fleet; and kill as many programs directly."""
    folder.mkdir()
    script = folder / "works.py"
    script.write_text(WORKS, encoding="utf-8")
    names = [f"agent-{number}" for number in range(plan.working)]
    settings = settings_of({name: ['backend = "scripted"', f'script = "{script}"'] for name in names})
    for number in range(plan.freezes):
        async with hosted(folder / f"home-{number}", settings) as fleet:
            series.add("freeze", await _freeze(fleet, names))
        series.add("kill", await to_thread.run_sync(_kill, plan.working))


async def _freeze(fleet: Hosted, names: Sequence[str]) -> float:
    for name in names:
        await fleet.send(name, "Please look at the queue.")
    with anyio.fail_after(WITHIN_S):
        while len(_at_work(fleet)) < len(names):  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.1)
    notes = (fleet.home.agent_harness(name) / "turn.json" for name in names)
    pids = [json.loads(note.read_text("utf-8"))["pid"] for note in notes]
    started = perf_counter()
    await fleet.operator.call(FleetFreeze(key=new_key()), FleetFrozen)
    with anyio.fail_after(WITHIN_S):
        while not all(map(_is_gone, pids)):  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(LOOK_EVERY_S)
    return perf_counter() - started


def _at_work(fleet: Hosted) -> list[Path]:
    return [path for path in fleet.transcripts() if WORD in path.read_text("utf-8")]


def _kill(count: int) -> float:
    """The floor: programs that do nothing, each in a group of its own, are told to end."""
    command = [sys.executable, "-S", "-c", BARE]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) for _ in range(count)]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    started = perf_counter()
    for child in children:
        os.killpg(child.pid, signal.SIGTERM)
    for child in children:
        child.wait()
    taken = perf_counter() - started
    for child in children:
        child.communicate()
    return taken


def _is_gone(leader: int) -> bool:
    """Say whether nothing of a process group is left; its parent has to have reaped it."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return True
    return False
