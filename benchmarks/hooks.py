"""What a hook costs a session at every tool call: its whole run, against that of an interpreter that does nothing."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import mcp_tools
from benchmarks.figures import percentile
from wire.home import Home

PROGRAM = Path(str(mcp_tools.__file__)).parent / "hooks" / "session.py"
SAID = b'{"session_id":"bench","hook_event_name":"PostToolUse","tool_name":"Bash"}'
PAIRS = 9
"""Runs of each, by turns, for one figure."""


@dataclass(frozen=True, slots=True)
class HookRuns:
    """Medians in seconds: of a hook that asks the broker, and of `python -S -c pass`."""

    hook: float
    nothing: float


def hook_runs(home: Home, agent: str) -> HookRuns:
    """Run the hook of a tool call and the empty interpreter by turns, on a broker that is there."""
    hook = [sys.executable, "-I", "-S", str(PROGRAM), "tool", agent, str(home.root)]
    nothing = [sys.executable, "-S", "-c", "pass"]
    pairs = [(_taken(hook), _taken(nothing)) for _ in range(PAIRS)]
    return HookRuns(*(percentile(side, 50) for side in zip(*pairs, strict=True)))


def _taken(command: Sequence[str]) -> float:
    started = perf_counter()
    subprocess.run(command, input=SAID, stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - started
