"""The pty backend over a program that draws as a real one does, and keeps what is typed."""

import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from harness.backends.choose import backend_for
from harness.backends.protocol import Ended, Permit, RunningTurn, TurnRequest, deny
from harness.backends.pty.backend import PtyBackend
from tests.fakes.toolbox import Toolbox, toolbox
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import Played

PROGRAM = Path(__file__).parents[3] / "fakes" / "terminal.py"

BOX: dict[str, Any] = {
    "ready": r"^│ > ",
    "busy": r"\(esc to stop\)",
    "interrupt": "\x1b",
    "rows": 24,
    "columns": 80,
    "settle_s": 0.1,
    "start_s": 10.0,
    "answers": [
        {"screen": r"Trust this folder\? \[y/n\]\Z", "send": "y"},
        {
            "screen": r"^May run (?P<tool>\w+):\n(?P<detail>(?:  .+\n)+)1\. yes 2\. always 3\. no",
            "allow": "1",
            "deny": "3",
        },
    ],
    "failures": [
        {"screen": r"^Error: too many requests.*", "outcome": "rate_limited"},
        {"screen": r"^Error: log in.*", "outcome": "auth"},
    ],
    "forgets": r"^History summarized",
}
"""How the fake program looks."""


@dataclass
class Box:
    """One backend that is open, and the folder of its program."""

    backend: PtyBackend
    tools: Toolbox

    @property
    def folder(self) -> Path:
        """Where the program runs."""
        return self.backend.seat.cwd

    async def play(self, *steps: str, permit: Permit = deny) -> Played:
        """Run a turn to its end."""
        played = Played()
        with anyio.fail_after(15):
            async with self.backend.run(TurnRequest("t1", "\n".join(steps), permit)) as program:
                async for event in program.events():
                    played.events.append(event)
        return played

    def kept(self, name: str) -> list[Any]:
        """Give what the program noted: `starts`, `typed`, `orphans`."""
        path = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    @property
    def pids(self) -> list[int]:
        """The processes there were, in their order."""
        return [start["pid"] for start in self.kept("starts")]


async def shows(program: RunningTurn, words: str) -> Played:
    """Take events in until the program has shown these words."""
    played = Played()
    async for event in program.events():
        played.events.append(event)
        if words in played.text():
            return played
    raise AssertionError(f"the turn ended without {words!r}: {played.text()}")


async def ended_of(program: RunningTurn) -> Ended:
    """Take in what is left of a turn; gives its end."""
    last = [event async for event in program.events()][-1]
    assert isinstance(last, Ended)
    return last


OpenBox = Callable[..., AbstractAsyncContextManager[Box]]


@pytest.fixture
def open_box(seat_for: MakeSeat) -> OpenBox:
    """Open a backend; `args` are of the program, other keywords settings of its table, `agent` those around it."""

    @asynccontextmanager
    async def opened(*args: str, agent: dict[str, Any] | None = None, **pty: Any) -> AsyncGenerator[Box]:
        async with toolbox() as tools:
            command = [sys.executable, "-I", "-S", str(PROGRAM)]
            table = {**BOX, **pty}
            seat = seat_for(**{"backend": "pty", "command": command, "args": list(args), "pty": table, **(agent or {})})
            backend = backend_for(replace(seat, mcp_url=tools.url, tools=tools.tools))
            assert isinstance(backend, PtyBackend)
            async with backend.open():
                yield Box(backend, tools)

    return opened


@pytest.fixture
async def box(open_box: OpenBox) -> AsyncGenerator[Box]:
    """Open a backend with ordinary settings."""
    async with open_box() as opened:
        yield opened
