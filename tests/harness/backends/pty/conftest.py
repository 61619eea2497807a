"""The pty backend over a program that draws as a real one does, and keeps what is typed."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from harness.backends.choose import backend_for
from harness.backends.protocol import Ended, RunningTurn
from harness.backends.pty.backend import PtyBackend
from tests.fakes.processes import fake
from tests.fakes.toolbox import Toolbox, toolbox
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import Opened, Played

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
class Box(Opened[PtyBackend]):
    """See `Opened`. Its program can call tools."""

    tools: Toolbox


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
            table = {**BOX, **pty}
            ours = {"backend": "pty", "command": fake("terminal"), "args": list(args), "pty": table}
            seat = seat_for(**{**ours, **(agent or {})})
            backend = backend_for(replace(seat, mcp_url=tools.url, tools=tools.tools))
            assert isinstance(backend, PtyBackend)
            async with backend.open():
                yield Box(backend, seat, tools)

    return opened


@pytest.fixture
async def box(open_box: OpenBox) -> AsyncGenerator[Box]:
    """Open a backend with ordinary settings."""
    async with open_box() as opened:
        yield opened
