"""The accident of the demo: the program of a working agent is killed with SIGKILL, in the middle of its job."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from console.transcripts.files import Tail
from console.transcripts.lines import read_line
from wire.home import Home
from wire.processes import Process

LOOK_EVERY_S = 0.05
PAUSE_MARK = "paused.json"
"""The scripted worker writes it into its state folder when it pauses with work in its hands."""

BEGUN = ("said", "thought", "called")
"""What of a transcript is the model's."""


@dataclass(frozen=True, slots=True)
class Accident:
    """What was killed."""

    agent: str
    turn: str
    pid: int
    mail: list[str]
    """What the agent was working on."""


async def kill_in_the_middle(home: Home, agent: str, *, scripted: bool = True) -> Accident:
    """Wait until the agent's program is at work, and kill it. The pid is checked: it may be another's by now.

    A scripted one is in the middle where it pauses, a real one once its model has said or done something.
    """
    while True:
        ready = _pauses(home, agent) if scripted else _has_begun(home, agent)
        accident = _try(home, agent) if ready else None
        if accident is not None:
            return accident
        await anyio.sleep(LOOK_EVERY_S)


def _pauses(home: Home, agent: str) -> bool:
    return (home.agent_state(agent) / PAUSE_MARK).exists()


def _has_begun(home: Home, agent: str) -> bool:
    note = _turn_file(home.agent_harness(agent) / "turn.json")
    if note is None:
        return False
    lines = Tail(home.agent_transcripts(agent), str(note["turn"])).new()
    return any(happened.kind in BEGUN for line in lines for happened in read_line(line))


def _try(home: Home, agent: str) -> Accident | None:
    note = _turn_file(home.agent_harness(agent) / "turn.json")
    if note is None:
        return None
    program = Process(int(note["pid"]), str(note["process"]))
    if not program.kill_group():
        return None
    return Accident(agent, str(note["turn"]), program.pid, [str(mail) for mail in note["mail"]])


def _turn_file(path: Path) -> dict[str, Any] | None:
    """Read which program the harness runs; None while it runs none."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) and {"pid", "process", "turn", "mail"} <= note.keys() else None  # pyright: ignore[reportUnknownVariableType]  # JSON objects have string keys
