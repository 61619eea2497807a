"""What a supervisor that was killed leaves behind: its children run on. The next one finds and ends them.

`run/up.children` names them by pid and identity; a broker or harness that was started by hand is not in it.
"""

import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import anyio

from wire.processes import Process, identity, kill_group

POLL_S = 0.05
STOP_ORDER = ("harness", "broker")


class Record:
    """The children of the running supervisor, on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._children: dict[str, Process] = {}

    def remember(self, program: str, pid: int) -> None:
        """Write down that this process now runs the program."""
        name = identity(pid)
        if name is not None:
            self._children[program] = Process(pid, name)
            self._write()

    def forget(self) -> None:
        """All children are gone."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        text = json.dumps({program: [child.pid, child.name] for program, child in self._children.items()})
        new = self._path.with_suffix(".new")
        new.write_text(text + "\n", encoding="ascii")
        os.replace(new, self._path)


def left_behind(path: Path) -> dict[str, Process]:
    """Give the recorded children that still run, in the order in which they are stopped."""
    try:
        recorded = json.loads(path.read_text(encoding="ascii"))
        children = {str(name): Process(int(pid), str(who)) for name, (pid, who) in recorded.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}
    alive = {name: child for name, child in children.items() if child.is_alive()}
    return {name: alive[name] for name in STOP_ORDER if name in alive}


async def end(children: Iterable[Process], grace_s: float) -> None:
    """Stop them one after the other: SIGTERM, then, after `grace_s`, SIGKILL to the whole group."""
    for child in children:
        child.kill(signal.SIGTERM)
        with anyio.move_on_after(grace_s):
            await _gone(child)
        if child.is_alive():
            kill_group(child.pid)
            await _gone(child)


async def _gone(child: Process) -> None:
    while child.is_alive():  # noqa: ASYNC110  # it is not our child, so nothing tells of its end
        await anyio.sleep(POLL_S)
