"""A fleet of real programs with jobs: its MQTT broker, what a job has said, scripts that work on one."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from mcp import StdioServerParameters

from tests.scenarios.programs import Fleet, fleet_in
from wire.client import new_key
from wire.home import Home
from wire.jobs import (
    JobsRegister,
    JobsRegistered,
    JobsSessions,
    JobsSessionsListed,
    JobsShow,
    JobsShown,
    JobsWatch,
    Session,
)

WORKS = """
import time
def run(agent):
    agent.say(agent.prompt)
    agent.publish("progress", "half done", {"percent": 50})
    while (agent.state / "hold").exists():
        time.sleep(0.01)
    agent.publish("completed", "all done")
"""
"""Works on the job of its mail, and stops in the middle for as long as it is held."""

Said = tuple[str, int, int]
"""An event, the claim under which it was said, and its number there."""

STARTED, PROGRESS, COMPLETED = ("started", 1, 1), ("progress", 1, 2), ("completed", 1, 3)
WHOLE: list[Said] = [STARTED, PROGRESS, COMPLETED]


@asynccontextmanager
async def fleet_with(folder: Path, mqtt: str) -> AsyncGenerator[Fleet]:
    """A fleet whose `[mqtt]` table holds these lines."""
    home = Home(folder / "home")
    home.create()
    (home.root / "queenpost.toml").write_text(f"[mqtt]\n{mqtt}\n", encoding="utf-8")
    async with fleet_in(folder) as fleet:
        yield fleet


async def register(fleet: Fleet, to: str | None, prompt: str = "count the pumps") -> JobsRegistered:
    """Register a job as the operator."""
    return await fleet.operator.call(JobsRegister(key=new_key(), prompt=prompt, to=to), JobsRegistered)


async def until(fleet: Fleet, job: str, state: str, said: int = 0) -> JobsShown:
    """Wait until a job is in a state and has said so many events; gives all of them."""
    while True:
        shown = await fleet.operator.call(JobsShow(job=job), JobsShown)
        if shown.job is not None and shown.job.state == state and len(shown.events) >= said:
            return shown
        after = shown.events[-1].number if shown.events else 0
        await fleet.operator.call(JobsWatch(job=job, after=after, wait_s=1), JobsShown)


def said(shown: JobsShown) -> list[Said]:
    """Give what was recorded, claim by claim."""
    assert {event.verdict for event in shown.events} <= {"accepted"}
    return sorted(((event.event, event.epoch, event.seq) for event in shown.events), key=lambda one: one[1:])


async def sessions(fleet: Fleet, job: str) -> list[Session]:
    """Give who has worked on a job, the first one first."""
    listed = await fleet.operator.call(JobsSessions(), JobsSessionsListed)
    return [session for session in reversed(listed.sessions) if session.job == job]


def write_script(fleet: Fleet, name: str, code: str) -> str:
    """Write a script down; gives its path."""
    path = fleet.home.root.parent / f"{name}.py"
    path.write_text(code, encoding="utf-8")
    return str(path)


def attended(fleet: Fleet, agent: str) -> StdioServerParameters:
    """Give the server of an attended session, as a client's configuration has it."""
    queenpost = Path(sys.executable).with_name("queenpost")
    return StdioServerParameters(command=str(queenpost), args=["mcp", "--agent", agent, "--home", str(fleet.home.root)])
